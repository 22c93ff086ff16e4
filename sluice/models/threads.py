"""The number of native threads that a fit or a prediction may use."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

ONE_THREAD_ROWS = 100_000
"""Rows below which one thread is used: a second one gains .2 s on an idle machine and can cost
10 s on a busy one, where native threads spin while they wait for each other."""


@contextmanager
def limit_threads(rows: int) -> Iterator[None]:
    """Limit native code (OpenMP, BLAS) to one thread below 100,000 rows.

    Predictions do not depend on it.
    """
    if rows >= ONE_THREAD_ROWS:
        yield
        return
    with _find_pools(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _find_pools(modules: int) -> Any:
    """Return the native libraries with threads of their own; `modules`: those imported so far.

    The search takes 8 ms, and only another module can bring another library.
    """
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()

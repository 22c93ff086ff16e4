"""The number of native threads that a fit or a prediction may use."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield

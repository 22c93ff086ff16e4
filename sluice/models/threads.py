"""How many threads a fit or a prediction may use."""

from collections.abc import Iterator
from contextlib import contextmanager

ROWS = 100_000
"""Rows below which one thread does: a second one gains a fifth of a second on an idle machine and
can cost ten on a busy one, where native threads spin while they wait for each other."""


@contextmanager
def limit_threads(rows: int) -> Iterator[None]:
    """Let native code (OpenMP, BLAS) use one thread for few rows, as many as it likes for many.

    Answers do not hang on it.
    """
    if rows >= ROWS:
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield

"""A lock that processes share through a file; the system frees it when its holder dies."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.1


def try_lock(file: IO[str], shared: bool = False) -> bool:
    """Lock an open file if nobody stands in the way, and say whether that worked."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold_lock(
    path: Path, seconds: float, waiting: Callable[[float], None] = lambda _: None
) -> Iterator[None]:
    """Hold the file's lock alone; `waiting` is told the seconds waited, each time it looks.

    Raises:
        TimeoutError: another process held it for longer than `seconds`.
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with path.open("a") as file:
        while not try_lock(file):
            waited = time.monotonic() - began
            if waited > seconds:
                raise TimeoutError(f"{path} has been locked by another process for {waited:.0f} s")
            waiting(waited)
            time.sleep(POLL_SECONDS)
        yield

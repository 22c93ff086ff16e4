"""The file system's ways to fail, as our errors, and a lock between processes."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sluice.errors import DataUnavailable, StorageFull

NO_ROOM = {
    27: "a limit on file sizes",
    28: "no space is left on the disk",
    122: "the disk quota is used up",
}


def explain_os_error(error: Exception, subject: str) -> StorageFull | DataUnavailable:
    """Give the error to raise: no room is final, everything else may pass.

    The number of the cause is taken from the error, or from its text, where native libraries put
    it as `os error 28`.
    """
    code = getattr(error, "errno", None) or _find_code(str(error))
    if code in NO_ROOM:
        return StorageFull(f"{subject}: not written: {NO_ROOM[code]}; what was there is unchanged")
    reason = os.strerror(code) if code else str(error).splitlines()[0][:200]
    return DataUnavailable(f"{subject}: cannot be reached: {reason}")


@contextmanager
def open_locked(path: Path) -> Iterator[TextIO]:
    """Open a file that one process at a time may hold; it is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _find_code(text: str) -> int | None:
    if found := re.search(r"os error (\d+)|code: (\d+)|\[Errno (\d+)\]", text):
        return int(next(group for group in found.groups() if group))
    words = {"File too large": 27, "No space left": 28, "quota exceeded": 122}
    return next((code for word, code in words.items() if word in text), None)

"""The file system: errors as ours, locks, files written atomically and closed to others."""

import fcntl
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

from sluice.errors import DataUnavailable, StorageFull

POLL_SECONDS = 0.1


def try_lock(file: IO[str], shared: bool = False) -> bool:
    """Lock an open file if no other lock prevents it; return whether it did."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold_lock(
    path: Path, seconds: float, waiting: Callable[[float], None] = lambda _: None
) -> Iterator[None]:
    """Hold the file's exclusive lock; call `waiting` with the seconds waited at each poll.

    Raises:
        TimeoutError: another process held it for longer than `seconds`.
        OSError: the file cannot be created.
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


NO_ROOM = {
    27: "a limit on file sizes",
    28: "no space is left on the disk",
    122: "the disk quota is used up",
}


def explain_os_error(error: Exception, subject: str) -> StorageFull | DataUnavailable:
    """Return the error to raise: a full disk is final, any other error may pass.

    The error number is taken from the error or from its text, where native libraries put it as
    `os error 28`.
    """
    code = getattr(error, "errno", None) or _find_code(str(error))
    if code in NO_ROOM:
        return StorageFull(f"{subject}: not written: {NO_ROOM[code]}; what was there is unchanged")
    reason = os.strerror(code) if code else str(error).splitlines()[0][:200]
    return DataUnavailable(f"{subject}: cannot be reached: {reason}")


@contextmanager
def translate_errors(uri: Path) -> Iterator[None]:
    """Translate errors of the file system and of Delta about a table into our errors.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the table cannot be reached.
    """
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (OSError, DeltaError, json.JSONDecodeError) as error:
        raise explain_os_error(error, f"table {uri}") from error


@contextmanager
def open_locked(path: Path) -> Iterator[TextIO]:
    """Open a file that one process at a time may hold; create it if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _find_code(text: str) -> int | None:
    if found := re.search(r"os error (\d+)|code: (\d+)|\[Errno (\d+)\]", text):
        return int(next(group for group in found.groups() if group))
    words = {"File too large": 27, "No space left": 28, "quota exceeded": 122}
    return next((code for word, code in words.items() if word in text), None)


OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_FOLDERS = (
    "prefect",
    "mlflow",
    "serving",
    "traffic",
    "data",
    "logs",
    "work",
    "data_docs",
    "security",
    "keys",
)
OWN_FILES = ("control.db*", "server.*", "stack.*")


def close_state(root: Path) -> None:
    """Keep the state folder, and all that this process writes, from other users of the machine.

    A folder that an older version left open is closed once, with all of its own in it. What
    belongs to another user, and a folder that all share, such as `/tmp`, stay as they are.
    """
    os.umask(OTHERS)
    try:
        found = root.stat()
    except OSError:  # it is made later, closed
        return
    is_shared = bool(found.st_mode & stat.S_ISVTX) or found.st_uid != os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or is_shared or not found.st_mode & OTHERS:
        return
    root.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    for path in [*(root / name for name in OWN_FOLDERS), *_find_files(root)]:
        for place, _, names in os.walk(path):
            for entry in (Path(place), *(Path(place, name) for name in names)):
                _close_entry(entry)
        _close_entry(path)


def _find_files(root: Path) -> list[Path]:
    return [path for pattern in OWN_FILES for path in root.glob(pattern) if path.is_file()]


def _close_entry(path: Path) -> None:
    with suppress(OSError):  # it is gone by now, or belongs to another user
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)


PRIVATE, PUBLIC = 0o600, 0o644
"""Modes of files in the state folder, and in the project."""


def write_whole(
    texts: Mapping[Path, str], mode: int = PRIVATE, commit: Callable[[], object] = lambda: None
) -> None:
    """Replace each file by its text; if one cannot be written, restore the others.

    `commit` is called once all texts are on the disk, before the first file is replaced; if it
    raises, no file is.

    Raises:
        OSError: a file cannot be written; all files are unchanged.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    drafts: dict[Path, Path] = {}
    moved: list[Path] = []
    try:
        for path, text in texts.items():
            drafts[path] = _write_draft(path, text.encode("utf-8"), mode)
        commit()
        for path, draft in drafts.items():
            draft.replace(path)
            moved.append(path)
    except OSError:
        for path in moved:
            _restore(path, before[path], mode)
        raise
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


@contextmanager
def draft_file(path: Path) -> Iterator[Path]:
    """Give a file to write to, which replaces `path` when the block ends without an error.

    Each caller has a file of its own, also where threads of one process write the same path. After
    an error it is removed, and `path` is as it was.

    Raises:
        OSError: the folder is not there, or cannot be written to.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _write_draft(path: Path, content: bytes, mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _restore(path: Path, content: bytes | None, mode: int) -> None:
    with suppress(OSError):
        if content is None:
            path.unlink()
        else:
            _write_draft(path, content, mode).replace(path)

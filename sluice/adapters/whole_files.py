"""Writing several files so that either all of them are new, or none is."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_whole(texts: Mapping[Path, str]) -> None:
    """Put each text in the place of its file; where one cannot be, the others are put back.

    Raises:
        OSError: a file cannot be written; everything is as it was.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    drafts: dict[Path, Path] = {}
    moved: list[Path] = []
    try:
        for path, text in texts.items():
            drafts[path] = _write_draft(path, text.encode("utf-8"))
        for path, draft in drafts.items():
            draft.replace(path)
            moved.append(path)
    except OSError:
        for path in moved:
            _put_back(path, before[path])
        raise
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _write_draft(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _put_back(path: Path, content: bytes | None) -> None:
    with suppress(OSError):
        if content is None:
            path.unlink()
        else:
            _write_draft(path, content).replace(path)

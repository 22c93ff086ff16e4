"""Files that somebody drops in a folder: which there are, and whether they changed."""

import glob
import os
from pathlib import Path

from sluice.adapters.tables.files import EXTENSIONS
from sluice.data.arrival import Delivery
from sluice.errors import DataUnavailable


def list_files(path: str, before: float = float("inf")) -> list[Delivery]:
    """Give the files of a path, folder or pattern, oldest first, each with what tells it changed.

    A folder stands for its Parquet and CSV files; hidden files are never meant. Files that were
    touched after `before` (seconds since 1970) are left for the next time: somebody may be writing.

    Raises:
        DataUnavailable: the file, or the folder of the pattern, is not there or cannot be read.
    """
    try:
        found = [(file, file.stat()) for file in _expand(path)]
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DataUnavailable(f"source {path}: cannot be read: {reason}") from error
    found = [item for item in found if item[1].st_mtime <= before]
    found.sort(key=lambda item: (item[1].st_mtime_ns, item[0]))
    return [
        Delivery("files", str(file), f"file {file}", f"{facts.st_size} bytes {facts.st_mtime_ns}")
        for file, facts in found
    ]


def _expand(path: str) -> list[Path]:
    """Give the files that are meant.

    Raises:
        DataUnavailable: there is no such file, or no folder in which the pattern could match.
    """
    if not glob.has_magic(path) and not Path(path).is_dir():
        if not Path(path).exists():
            raise DataUnavailable(f"source {path}: no such file or folder")
        return [Path(path)]
    if Path(path).is_dir():
        found = [file for file in Path(path).iterdir() if file.suffix in EXTENSIONS]
    else:
        _require_root(path)
        found = [Path(file) for file in glob.glob(path, recursive=True)]  # noqa: PTH207
    return [file for file in found if file.is_file() and not file.name.startswith(".")]


def _require_root(pattern: str) -> None:
    """Tell a folder that is away from one in which nothing matches.

    Raises:
        DataUnavailable: the deepest folder without `*` is not there.
    """
    plain = Path(pattern)
    while glob.has_magic(str(plain)):
        plain = plain.parent
    if not plain.is_dir():
        raise DataUnavailable(f"source {pattern}: no such folder {plain}")

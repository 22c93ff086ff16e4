"""Files that are put into a folder: which there are, and whether they changed."""

import glob
import os
from pathlib import Path

from sluice.data.batches.arrival import Delivery
from sluice.data.extensions import find_extension
from sluice.errors import DataUnavailable


def list_files(path: str, modified_before: float = float("inf")) -> list[Delivery]:
    """Return the files of a path, folder or pattern, oldest first, as deliveries.

    A folder stands for its Parquet and CSV files without the hidden ones. Files that were modified
    after `modified_before` (seconds since 1970) are left out: they may still be being written.

    Raises:
        DataUnavailable: the file, or the folder of the pattern, is missing or cannot be read.
    """
    try:
        found = [(file, file.stat()) for file in _expand(path)]
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DataUnavailable(f"source {path}: cannot be read: {reason}") from error
    found = [item for item in found if item[1].st_mtime <= modified_before]
    found.sort(key=lambda item: (item[1].st_mtime_ns, item[0]))
    return [
        Delivery("files", str(file), f"file {file}", f"{facts.st_size} bytes {facts.st_mtime_ns}")
        for file, facts in found
    ]


def _expand(path: str) -> list[Path]:
    """Return the files of a path, folder or pattern.

    Raises:
        DataUnavailable: there is no such file, or no folder in which the pattern could match.
    """
    if not glob.has_magic(path) and not Path(path).is_dir():
        if not Path(path).exists():
            raise DataUnavailable(f"source {path}: no such file or folder")
        return [Path(path)]
    if Path(path).is_dir():
        found = [file for file in Path(path).iterdir() if find_extension(file)]
    else:
        _require_root(path)
        found = [Path(file) for file in glob.glob(path, recursive=True)]  # noqa: PTH207
    return [file for file in found if file.is_file() and not file.name.startswith(".")]


def _require_root(pattern: str) -> None:
    """Check that the pattern's folder exists, which differs from no match in it.

    Raises:
        DataUnavailable: the deepest folder without `*` is missing.
    """
    plain = Path(pattern)
    while glob.has_magic(str(plain)):
        plain = plain.parent
    if not plain.is_dir():
        raise DataUnavailable(f"source {pattern}: no such folder {plain}")

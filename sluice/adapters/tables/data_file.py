"""A data file as a whole: its extension, its format, and whether it changes."""

import os
from pathlib import Path

from sluice.data.extensions import EXTENSIONS, PARQUET, find_extension
from sluice.errors import DataInvalid, DataUnavailable

RENAME = "rename it so that it ends in {}"
FORMATS = (
    (b"\x1f\x8b", "gzip", ".gz", RENAME.format(".csv.gz")),
    (b"PAR1", "Parquet", PARQUET, RENAME),
    (b"PARE", "encrypted Parquet", "?", "write it again without encryption"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "?", "save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "?", "save the table as CSV"),
)
"""First bytes of a format, its name, the end of its extension, and what to do about another."""
EXPECTED = {PARQUET: "Parquet", ".csv.gz": "gzip", ".tsv.gz": "gzip"}
FileState = tuple[int, int, int]
"""Inode, size and time of the last change of a file."""


def check_file(path: Path) -> FileState:
    """Check that a path is a readable data file; return its state, which tells later changes.

    Raises:
        DataInvalid: it is missing, a folder, empty, has another extension, or another format than
            its extension says.
        DataUnavailable: it cannot be read at present.
    """
    if not find_extension(path):
        found = f"extension '{path.suffix}'" if path.suffix else "no extension"
        raise DataInvalid(f"{path}: found {found}, allowed: {', '.join(EXTENSIONS)}")
    try:
        exists, regular = path.exists(), path.is_file()
    except OSError as error:
        raise DataUnavailable(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    if not exists:
        raise DataInvalid(f"{path}: no such file")
    if not regular:
        raise DataInvalid(f"{path}: found a folder, allowed: one file, or a Delta table")
    state = _find_state(path)
    if not state[1]:
        raise DataInvalid(f"{path}: the file is empty")
    _check_format(path)
    return state


def check_unchanged(path: Path, before: FileState, error: DataInvalid | None = None) -> None:
    """Check that nobody wrote to a file while it was read: its rows could be cut anywhere.

    Raises:
        DataUnavailable: somebody did.
    """
    if _find_state(path) != before:
        raise DataUnavailable(
            f"{path}: it changed while it was read; next: wait until it is complete"
        ) from error


def _find_state(path: Path) -> FileState:
    try:
        facts = path.stat()
    except OSError as error:
        raise DataUnavailable(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _check_format(path: Path) -> None:
    """Check that the first bytes of a file are of the format that its extension says.

    Raises:
        DataInvalid: they are of another one.
        DataUnavailable: they cannot be read at present.
    """
    extension = find_extension(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataUnavailable(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    found, ending, step = next(
        (item[1:] for item in FORMATS if start.startswith(item[0])), ("plain text", ".csv", RENAME)
    )
    is_plain_text = ending == ".csv" and extension in (".csv", ".tsv", PARQUET)
    if extension.endswith(ending) or is_plain_text:
        return  # the reader of Parquet tells a damaged file apart
    raise DataInvalid(
        f"{path}: found {found} by its first bytes, allowed for {extension}: "
        f"{EXPECTED.get(extension, 'plain text')}; next: {step.format(ending)}"
    )

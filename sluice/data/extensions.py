"""The extensions of data files."""

from pathlib import Path

PARQUET = ".parquet"
EXTENSIONS = (PARQUET, ".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""Extensions of data files, in lower or upper case."""


def find_extension(path: Path) -> str:
    """Return which of the known extensions a file has, in lower case; empty if none."""
    name = path.name.lower()
    return next((item for item in EXTENSIONS if name.endswith(item)), "")


def split_name(path: Path) -> tuple[str, str]:
    """Return a file's name without its extension, and the extension as it is written."""
    length = len(find_extension(path) or path.suffix)
    return path.name[: len(path.name) - length], path.name[len(path.name) - length :]

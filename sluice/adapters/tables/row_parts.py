"""Parquet files and Delta tables in parts, each of which another process can read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sluice.adapters.tables.columns import (
    RowGroup,
    Span,
    explain_errors,
    list_sources,
    open_file,
)

MOST_PARTS = 64
"""Most parts of one source, so that what all of them return does not grow with the rows."""
LEAST_ROWS = 250_000
"""Rows from which a part is complete, where the source is small."""


@dataclass(frozen=True)
class FileGroups:
    """Row groups of one Parquet file, from the first to the one behind the last.

    `constants` are the values of the table's partitions.
    """

    path: Path
    groups: tuple[int, int]
    constants: Mapping[str, Any]


@dataclass(frozen=True)
class RowPart:
    """One part of a source: whole row groups, of which with a span only some rows count."""

    files: tuple[FileGroups, ...]
    span: Span | None = None


def plan_rows(
    source: Path, span: Span | None = None, most: int = MOST_PARTS, least: int = LEAST_ROWS
) -> tuple[RowPart, ...]:
    """Divide a Parquet file, a folder of them, or a Delta table's newest version into parts.

    There are one to `most`, of at least `least` rows but for the last. They depend on the source
    alone, never on the number of processes.

    Raises:
        DataMissing: there is nothing there, or a folder without Parquet files.
        DataInvalid: a file is not Parquet.
        DataUnavailable: a file cannot be read now.
    """
    sources = [(path, constants, _list_sizes(path)) for path, constants in list_sources(source)]
    total = sum(sum(sizes) for _, _, sizes in sources)
    wanted = max(least, -(-total // most))
    parts, files, rows = list[RowPart](), list[FileGroups](), 0
    for path, constants, sizes in sources:
        start = 0
        for group, size in enumerate(sizes, 1):
            rows += size
            if rows >= wanted:
                files.append(FileGroups(path, (start, group), constants))
                parts.append(RowPart(tuple(files), span))
                files, rows, start = [], 0, group
        if start < len(sizes):
            files.append(FileGroups(path, (start, len(sizes)), constants))
    if files or not parts:
        parts.append(RowPart(tuple(files), span))
    return tuple(parts)


def _list_sizes(path: Path) -> list[int]:
    """Return the rows of each row group of a file."""
    with explain_errors(str(path)):
        metadata = pq.read_metadata(path)
    return [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]


def open_part(part: RowPart) -> Iterator[RowGroup]:
    """Yield the rows of a part, group by group; without those outside its span.

    Raises:
        DataInvalid: a file is damaged, or lacks the span's column.
        DataUnavailable: a file cannot be read now.
    """
    for one in part.files:
        yield from open_file(one.path, part.span, one.constants, one.groups)

"""Rows of Parquet files and Delta tables, read one column of one row group at a time.

Memory does not grow with the rows: it holds one column of one row group. Strings are read as
dictionaries, so that a repeated text is decoded once.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluice.adapters.storage import explain_os_error
from sluice.errors import DataInvalid, DataMissing, DataUnavailable

NO_VALUES: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Span:
    """A window of a column: rows from `start`, before `end`; null rows are outside."""

    column: str
    start: Any
    end: Any


@dataclass(eq=False)
class RowGroup:
    """The rows of one row group of a Parquet file; `constants` are the values of partitions.

    `mask` marks the rows that count; None: all do.
    """

    file: pq.ParquetFile
    group: int
    path: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    mask: pa.Array | None = None
    _last: tuple[str, pa.ChunkedArray] | None = None

    @property
    def names(self) -> Sequence[str]:
        """The names of the columns."""
        return [*self.file.schema_arrow.names, *self.constants]

    @property
    def count(self) -> int:
        """The number of rows."""
        if self.mask is not None:
            return int(pc.sum(self.mask).as_py() or 0)
        return int(self.file.metadata.row_group(self.group).num_rows)

    def read(self, name: str) -> pa.ChunkedArray:
        """Return the cells of one column.

        Raises:
            DataInvalid: the file is damaged.
            DataUnavailable: the file cannot be read now.
        """
        if self._last is None or self._last[0] != name:
            self._last = name, self._read(name)
        return self._last[1]

    def _read(self, name: str) -> pa.ChunkedArray:
        if name in self.constants:
            value = self.constants[name]
            return pa.chunked_array([pa.repeat(pa.scalar(value), self.count)])
        with explain_errors(self.path):
            cells = self.file.read_row_group(self.group, columns=[name]).column(0)
        return cells if self.mask is None else cells.filter(self.mask)


def open_rows(source: Path, span: Span | None = None) -> Iterator[RowGroup]:
    """Yield the rows of a Parquet file, a folder of them, or a Delta table, group by group.

    Each row group is read when it is asked for a column. With a span only the rows inside it count,
    and groups outside it are never read.

    Raises:
        DataMissing: there is nothing there, or a folder without Parquet files.
        DataInvalid: a file is not Parquet, or lacks the span's column.
        DataUnavailable: a file cannot be read now.
    """
    for path, constants in list_sources(source):
        yield from open_file(path, span, constants)


def list_sources(source: Path) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return the Parquet files of a source in order, each with the values of its partitions.

    Raises:
        DataMissing: there is nothing there, or a folder without Parquet files.
        DataInvalid: it is a Delta table whose files have deletion vectors.
        DataUnavailable: the table cannot be read now.
    """
    if not source.exists():
        raise DataMissing(
            f"{source}: not found; allowed: a Parquet file, a folder of them, or a Delta table"
        )
    if (source / "_delta_log").is_dir():
        return _list_files(source, None)
    files = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise DataMissing(f"{source}: the folder has no Parquet file")
    return [(path, NO_VALUES) for path in files]


def open_delta(
    uri: Path, span: Span | None = None, version: int | None = None
) -> Iterator[RowGroup]:
    """Yield the rows of one version of a Delta table, by default the newest, group by group.

    Raises:
        DataMissing: there is no table.
        DataInvalid: the version is not there, its files have deletion vectors, or lack the span's
            column.
        DataUnavailable: a file cannot be read now.
    """
    for path, constants in _list_files(uri, version):
        yield from open_file(path, span, constants)


def _list_files(uri: Path, version: int | None) -> list[tuple[Path, Mapping[str, Any]]]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        table = DeltaTable(str(uri), version=version)
        if "deletionVectors" in (table.protocol().reader_features or []):
            raise DataInvalid(
                f"{uri}: found a Delta table with deletion vectors; allowed: without; next: purge "
                "them (`REORG TABLE ... APPLY (PURGE)`) or export the rows to Parquet"
            )
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    except TableNotFoundError as error:
        raise DataMissing(f"{uri}: no Delta table, or not version {version}") from error
    except (OSError, DeltaError) as error:
        raise explain_os_error(error, f"table {uri}") from error
    prefix = "partition."
    return [
        (
            uri / unquote(one["path"]),
            {key[len(prefix) :]: value for key, value in one.items() if key.startswith(prefix)},
        )
        for one in sorted(actions, key=lambda one: str(one["path"]))
    ]


def open_file(
    path: Path,
    span: Span | None,
    constants: Mapping[str, Any],
    groups: tuple[int, int] | None = None,
) -> Iterator[RowGroup]:
    """Yield the rows of one Parquet file, by default of all its row groups.

    `groups` are the first row group and the one behind the last.

    Raises:
        DataInvalid: the file is not Parquet, or lacks the span's column.
        DataUnavailable: the file cannot be read now.
    """
    with explain_errors(str(path)):
        plain = pq.read_schema(path)
        texts = [one.name for one in plain if pa.types.is_string(one.type) or _is_large(one.type)]
        file = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False)
    for group in range(*(groups or (0, file.metadata.num_row_groups))):
        rows = RowGroup(file, group, str(path), constants)
        if span is None:
            yield rows
        elif _may_have(rows, span) and (mask := _find_mask(rows, span)) is not None:
            yield RowGroup(file, group, str(path), constants, mask)


def _is_large(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind))


def _may_have(rows: RowGroup, span: Span) -> bool:
    """Return whether a group may have rows of the span, by the file's statistics alone."""
    if span.column not in rows.names:
        raise DataInvalid(
            f"{rows.path}: no column '{span.column}' for the window; there are: "
            f"{', '.join(rows.names)}"
        )
    if span.column in rows.constants:
        return True
    place = rows.file.schema_arrow.names.index(span.column)
    statistics = rows.file.metadata.row_group(rows.group).column(place).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    try:
        return bool(statistics.min < span.end and statistics.max >= span.start)
    except TypeError:  # another unit or zone: the cells decide
        return True


def _find_mask(rows: RowGroup, span: Span) -> pa.Array | None:
    """Return which rows are in the span; None where none is."""
    cells = rows.read(span.column)
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    try:
        bounds = [pa.scalar(one).cast(cells.type) for one in (span.start, span.end)]
        inside = pc.and_(pc.greater_equal(cells, bounds[0]), pc.less(cells, bounds[1]))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataInvalid(
            f"{rows.path}: column '{span.column}' is {cells.type} and cannot be compared with "
            f"{span.start!r}"
        ) from error
    mask = pc.fill_null(inside, False).combine_chunks()
    return mask if pc.any(mask).as_py() else None


@contextmanager
def explain_errors(path: str) -> Iterator[None]:
    """Translate errors of reading a Parquet file into ours.

    Raises:
        DataInvalid: the file is not Parquet, or damaged.
        DataUnavailable: it cannot be read now.
    """
    try:
        yield
    except pa.ArrowInvalid as error:
        words = str(error).splitlines()[0][:200]
        raise DataInvalid(f"{path}: not readable as Parquet: {words}") from error
    except OSError as error:
        found = explain_os_error(error, path)
        if isinstance(found, DataUnavailable) and getattr(error, "errno", None) is None:
            words = str(error).splitlines()[0][:200]
            raise DataInvalid(f"{path}: not readable as Parquet: {words}") from error
        raise found from error

"""Rows of files that a person compares with a version: counted and sampled part by part.

A part is read by one process. Counts of parts, merged, are those of one pass to the last row, so
that the result is the same at every scale.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.columns import RowGroup, Span
from sluice.adapters.tables.row_parts import RowPart, open_part, plan_rows
from sluice.drift.counts import WindowCounts
from sluice.drift.joint import MOST_ROWS
from sluice.errors import DataInvalid
from tasks.drift.profiles import load_profile
from tasks.drift.references import Reference
from tasks.run.decorators import effect

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_FILES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".xlsx")
PACKED_FILES = (".zip", ".gz", ".bz2", ".xz", ".zst")
MapParts = Callable[[Any, Sequence[Any]], list[Any]]
"""A function that runs a task once for each part and returns the results in order."""


@dataclass(frozen=True)
class FilePart:
    """One part of a file, to be counted in the profile of a version."""

    record: ModelVersionRef
    rows: RowPart


@dataclass(frozen=True)
class SamplePart:
    """One part of a file, of which every `step`-th row is taken, from row `first` of the part."""

    rows: RowPart
    columns: tuple[str, ...]
    first: int
    step: int


@dataclass(frozen=True)
class FileJob:
    """What is compared: the parts of a file, and the version. `columns` are those to sample."""

    path: Path
    parts: tuple[FilePart, ...]
    version: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FileRows:
    """What was read of a file: the counts of all rows, and at most 20,000 rows, spread evenly.

    `places` has the number of each sampled row, from 0. There is no sample where none is needed.
    """

    job: FileJob
    counts: WindowCounts
    sample: "pa.Table | None" = None
    places: Sequence[int] = ()


def plan_file(reference: Reference, path: Path, span: Span | None, sampled: bool) -> FileJob:
    """Divide a Parquet file, a folder of them or a Delta table into parts.

    Raises:
        DataMissing: there is nothing there, or a folder without Parquet files.
        DataInvalid: a file is not Parquet.
        DataUnavailable: a file cannot be read now.
    """
    _check_file(path)
    record = reference.record
    parts = tuple(FilePart(record, part) for part in plan_rows(path, span))
    watched = [one.watched for one in reference.profile.columns.values()]
    names = sorted({name for one in watched for name in (one.source, one.origin) if name})
    return FileJob(path, parts, record.version, tuple(names) if sampled else ())


def _check_file(path: Path) -> None:
    if found := [one for one in path.suffixes if one.lower() in (*TEXT_FILES, *PACKED_FILES)]:
        raise DataInvalid(
            f"{path}: found a {''.join(found)} file; allowed: a Parquet file, a folder of them, "
            "or a Delta table; next: write the rows as Parquet"
        )


def read_file(job: FileJob, map_parts: MapParts) -> FileRows:
    """Count the rows of a file, and sample them where the job has columns to sample.

    Raises:
        DataMissing: the version has no profile any more.
        DataInvalid: a file is damaged, or the profile is another one than before.
        Fault: a file or the registry cannot be reached.
    """
    counted: list[WindowCounts] = map_parts(count_file_part, job.parts)
    rows = FileRows(job, reduce(WindowCounts.merge, counted))
    if not job.columns:
        return rows
    total = rows.counts.rows
    step = max(1, -(-total // MOST_ROWS))
    wanted = list(_place_samples(job, [one.rows for one in counted], step))
    sample = _join_samples(map_parts(sample_file_part, wanted))
    return replace(rows, sample=sample, places=range(0, total, step))


def _place_samples(job: FileJob, sizes: Iterable[int], step: int) -> Iterator[SamplePart]:
    seen = 0
    for part, size in zip(job.parts, sizes, strict=True):
        yield SamplePart(part.rows, job.columns, -seen % step, step)
        seen += size


def _join_samples(samples: Iterable[Sequence["pa.Table"]]) -> "pa.Table":
    """Return row groups as one table, without the columns whose types do not fit together.

    Such a column is found by itself, as one of another type.
    """
    import pyarrow as pa

    parts = [table for sample in samples for table in sample]
    unfit = set()
    for name in {name for part in parts for name in part.column_names}:
        own = [pa.schema([part.schema.field(name)]) for part in parts if name in part.column_names]
        try:
            pa.unify_schemas(own, promote_options="permissive")
        except pa.ArrowTypeError:
            unfit.add(name)
    kept = [
        part.select([name for name in part.column_names if name not in unfit]) for part in parts
    ]
    return pa.concat_tables(kept, promote_options="permissive") if kept else pa.table({})


def read_here(job: FileJob) -> FileRows:
    """Read a file in this process, without Prefect.

    Raises:
        As `read_file`.
    """

    def run(task: Any, parts: Sequence[Any]) -> list[Any]:
        function: Any = count_part if task is count_file_part else sample_part
        return [function(part) for part in parts]

    return read_file(job, run)


def count_part(part: FilePart) -> WindowCounts:
    """Return the counts of a part's rows in the bins of the version's profile.

    Raises:
        DataMissing: the version has no profile any more.
        DataInvalid: a file or the profile is damaged.
        Fault: a file or the registry cannot be reached.
    """
    profile = load_profile(part.record.service, part.record)
    return profile.count_rows(open_part(part.rows))


def sample_part(part: SamplePart) -> list["pa.Table"]:
    """Return every n-th row of each row group of a part, with the columns that it has.

    Raises:
        DataInvalid: a file is damaged.
        DataUnavailable: a file cannot be read now.
    """
    tables, next_row = list["pa.Table"](), part.first
    for group in open_part(part.rows):
        tables.append(_take_rows(group, part, next_row))
        next_row = (next_row - group.count) % part.step
    return tables


def _take_rows(group: RowGroup, part: SamplePart, first: int) -> "pa.Table":
    import pyarrow as pa

    places = pa.array(range(first, group.count, part.step), pa.int64())
    names = [name for name in group.names if name in part.columns]
    return pa.table({name: _plain(group.read(name).take(places)) for name in names})


def _plain(cells: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa

    is_encoded = pa.types.is_dictionary(cells.type)
    return cells.cast(cells.type.value_type) if is_encoded else cells


count_file_part = effect(count_part)
sample_file_part = effect(sample_part)

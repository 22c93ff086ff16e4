"""An input to score, read part by part: Parquet files, or one version of a Delta table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import xxhash
from pyarrow import parquet

from sluice.adapters.sources.delta import find_table, is_table, open_dataset
from sluice.adapters.storage import explain_os_error
from sluice.adapters.tables.data_file import check_file
from sluice.data.extensions import PARQUET, find_extension
from sluice.errors import DataInvalid, DataUnavailable
from sluice.scoring.plan import BatchInput, InputPart, plan_parts

BLOCK = 1 << 20
BATCH_ROWS = 16_384
"""Rows that are read and scored at once."""


def find_batch_input(source: str) -> BatchInput:
    """Return an input: a Parquet file, a folder of them, or a Delta table's newest version.

    Raises:
        DataInvalid: there is no such input, it has no rows, or it cannot be read as it is meant.
        DataUnavailable: it cannot be reached at present.
    """
    path = Path(source)
    if "://" not in source and not path.is_absolute():
        raise DataInvalid(f"{source}: found a relative path, allowed: an absolute path, or a URL")
    if is_table(source):
        return _find_table(source)
    files = _list_files(path)
    digest, found = xxhash.xxh3_128(), list[tuple[str, list[int]]]()
    columns: list[str] = []
    for file in files:
        check_file(file)
        with _explain_errors(str(file)):
            digest.update(file.name.encode() + b"\0")
            _hash_file(file, digest)
            with parquet.ParquetFile(file) as opened:
                metadata = opened.metadata
                columns = columns or list(opened.schema_arrow.names)
                groups = range(metadata.num_row_groups)
                found.append((str(file), [metadata.row_group(at).num_rows for at in groups]))
    mark = f"content {digest.hexdigest()}"
    return _refuse_empty(BatchInput("parquet", source, mark, tuple(columns), plan_parts(found)))


def _list_files(path: Path) -> list[Path]:
    """Return the Parquet files that a path stands for, by name.

    Raises:
        DataInvalid: it is none, or a folder without any.
    """
    if path.is_dir():
        deeper = next((item for item in path.rglob("*/*") if find_extension(item) == PARQUET), None)
        if deeper is not None:
            raise DataInvalid(
                f"{path}: found files in folders of it, such as {deeper.relative_to(path)}; "
                "allowed: Parquet files side by side, or a Delta table; next: score each folder by "
                "itself"
            )
        found = sorted(item for item in path.iterdir() if find_extension(item) == PARQUET)
        if not found:
            raise DataInvalid(
                f"{path}: found a folder without Parquet files, allowed: Parquet files or a Delta "
                "table"
            )
        return found
    if path.exists() and find_extension(path) != PARQUET:
        raise DataInvalid(
            f"{path}: found '{path.suffix or path.name}', allowed: a Parquet file, a folder of "
            "them, or a Delta table; next: write the rows as Parquet"
        )
    return [path]


def _hash_file(file: Path, digest: Any) -> None:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            digest.update(block)


def _find_table(uri: str) -> BatchInput:
    delivery = find_table(uri)
    opened = open_dataset(uri, delivery.version)
    with _explain_errors(uri):
        files = [
            (fragment.path, [group.num_rows for group in fragment.row_groups])
            for fragment in _sort_fragments(opened)
        ]
        columns = tuple(opened.schema.names)
    found = BatchInput(
        "delta", uri, delivery.mark, columns, plan_parts(files), version=delivery.version
    )
    return _refuse_empty(found)


def _sort_fragments(opened: Any) -> list[Any]:
    return sorted(opened.get_fragments(), key=lambda fragment: str(fragment.path))


def _refuse_empty(found: BatchInput) -> BatchInput:
    if not found.rows:
        raise DataInvalid(f"{found.uri}: no rows, only column names")
    return found


def list_schemas(found: BatchInput) -> Iterator[tuple[str, pa.Schema]]:
    """Yield each file of an input with its schema; of a table, its own schema once.

    Raises:
        DataInvalid: a file is damaged.
        DataUnavailable: it cannot be reached at present.
    """
    if found.kind == "delta":
        yield found.uri, open_dataset(found.uri, found.version).schema
        return
    for file in dict.fromkeys(part.file for part in found.parts):
        with _explain_errors(file):
            schema = parquet.read_schema(file)
        yield file, schema


def read_part(
    found: BatchInput, part: InputPart, columns: Sequence[str], done: int = 0
) -> Iterator[pa.Table]:
    """Yield the rows of a part behind its first `done`, in order, some thousands at a time.

    Raises:
        DataInvalid: a file is damaged, or lacks a column.
        DataUnavailable: it cannot be reached at present.
    """
    with _explain_errors(part.file):
        for table in _read_batches(found, part, list(columns)):
            if done >= table.num_rows:
                done -= table.num_rows
                continue
            yield table.slice(done)
            done = 0


def _read_batches(found: BatchInput, part: InputPart, columns: list[str]) -> Iterator[pa.Table]:
    groups = list(range(*part.groups))
    if found.kind == "parquet":
        with parquet.ParquetFile(part.file, memory_map=False) as opened:
            for batch in opened.iter_batches(
                BATCH_ROWS, row_groups=groups, columns=columns, use_threads=False
            ):
                yield pa.table(batch)
        return
    opened = open_dataset(found.uri, found.version)
    fragment = next(item for item in opened.get_fragments() if str(item.path) == part.file)
    scanner = ds.Scanner.from_fragment(
        fragment.subset(row_group_ids=groups),
        schema=opened.schema,
        columns=columns,
        batch_size=BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
    )
    for batch in scanner.to_batches():
        if batch.num_rows:
            yield pa.table(batch)


def check_same(found: BatchInput) -> None:
    """Check that an input still has the rows that it had when it was found.

    Raises:
        DataUnavailable: a file of it was changed meanwhile.
    """
    if found.kind == "delta":
        return  # a version of a table never changes
    again = find_batch_input(found.uri)
    if replace(again, uri=found.uri).mark != found.mark:
        raise DataUnavailable(
            f"{found.uri}: it changed while it was read; next: wait until it is complete, then "
            "score it into another output"
        )


@contextmanager
def _explain_errors(subject: str) -> Iterator[None]:
    """Translate errors of reading into ours."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowKeyError, EOFError) as error:
        words = str(error).splitlines()[0][:200]
        raise DataInvalid(f"{subject}: not readable as Parquet: {words}") from error
    except OSError as error:
        if error.errno is None:  # Arrow's error for invalid bytes
            words = str(error).splitlines()[0][:200]
            raise DataInvalid(f"{subject}: not readable as Parquet: {words}") from error
        raise explain_os_error(error, subject) from error

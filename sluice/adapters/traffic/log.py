"""The traffic log as Delta tables; each commit has its position, so a record is in it once.

A table gets a column that it lacks with the first rows that have it. No file is rewritten: rows
from before are null there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import translate_errors
from sluice.data.retention import format_hour

HOUR = "hour"
"""Column by which the tables are partitioned: UTC, such as 2026-11-23T12."""
_CALL = {
    "input_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "cache_read_tokens": pa.int64(),
    "cache_write_tokens": pa.int64(),
    "first_byte_ms": pa.float64(),
}
LATER_SHADOWS: dict[str, pa.DataType] = _CALL
"""Columns that tables of shadow calls may lack, because they were added later."""
LATER_ANSWERS: dict[str, pa.DataType] = {
    "trace_id": pa.string(),
    "experiment": pa.string(),
    "experiment_arm": pa.string(),
    **_CALL,
    "hits": pa.string(),
}
"""The same for tables of answers."""
TABLE_SETTINGS = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.enableExpiredLogCleanup": "true",
}
VACUUM_HOURS = 1
"""How long a reader may use files that a newer version no longer has."""


def find_positions(uri: Path, sources: list[str]) -> dict[str, int]:
    """Return the position of each source in the table; a source without records is left out.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        table = open_table(uri)
        if table is None:
            return {}
        found = {source: table.transaction_version(source) for source in sources}
    return {source: int(position) for source, position in found.items() if position is not None}


def append_records(uri: Path, rows: pa.Table, positions: Mapping[str, int], now: float) -> None:
    """Append rows and the sources' new positions in one commit, whole or not at all.

    Where rows and table have different columns, each has nulls in those of the other.

    Raises:
        StorageFull: the disk is full; the table does not change.
        DataUnavailable: the table cannot be reached.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    marks = [
        Transaction(source, position, last_updated=int(1000 * now))
        for source, position in positions.items()
    ]
    with translate_errors(uri):
        uri.mkdir(parents=True, exist_ok=True)
        table = open_table(uri)
        known = set(_name_columns(table)) if table is not None else set(rows.column_names)
        write_deltalake(
            str(uri),
            rows,
            mode="append",
            partition_by=[HOUR],
            schema_mode=None if known == set(rows.column_names) else "merge",
            configuration=TABLE_SETTINGS,
            commit_properties=CommitProperties(app_transactions=marks),
        )


def read_units(uri: Path, epoch: int) -> pa.Table | None:
    """Return unit, arm and failure of each answer in one epoch; None where nothing is logged.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    import pyarrow.dataset as ds

    with open_log(uri) as dataset:
        if dataset is None:
            return None
        columns = ["unit", "arm", "failed"]
        return dataset.to_table(columns, filter=ds.field("epoch") == epoch)


@contextmanager
def open_log(uri: Path) -> Iterator[Any | None]:
    """Give a table of the log as a pyarrow dataset, read while the block lasts; None: no table.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        table = open_table(uri)
        yield table.to_pyarrow_dataset() if table is not None else None


def count_answers(uri: Path, version: int, start: datetime) -> dict[str, int]:
    """Return how many answers a version gave from a time on, by the hour of the log.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    import pyarrow.dataset as ds

    with open_log(uri) as dataset:
        if dataset is None:
            return {}
        time = pa.scalar(start, pa.timestamp("us", tz="UTC"))
        condition = (
            (ds.field(HOUR) >= format_hour(start.timestamp()))
            & (ds.field("at") >= time)
            & (ds.field("version") == version)
        )
        hours: dict[str, int] = {}
        for batch in dataset.scanner(columns=[HOUR], filter=condition).to_batches():
            for item in batch.column(0).value_counts().to_pylist():
                hours[item["values"]] = hours.get(item["values"], 0) + item["counts"]
        return hours


def sample_answers(
    uri: Path, version: int, start: datetime, end: datetime, most: int = 50_000
) -> pa.Table:
    """Return inputs and outputs of the answers of a version in a span of time: `start` <= at < end.

    Above `most` answers every second, third ... one is taken, so that they are spread evenly over
    the span, and memory does not grow with the traffic.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    import pyarrow.dataset as ds

    columns = ["request_id", "inputs", "outputs"]
    with open_log(uri) as dataset:
        if dataset is None:
            return pa.table({name: pa.array([], pa.string()) for name in columns})
        time = pa.timestamp("us", tz="UTC")
        hours = [format_hour(moment.timestamp()) for moment in (start, end)]
        condition = (
            (ds.field(HOUR) >= hours[0])
            & (ds.field(HOUR) <= hours[1])
            & (ds.field("at") >= pa.scalar(start, time))
            & (ds.field("at") < pa.scalar(end, time))
            & (ds.field("version") == version)
        )
        step = max(1, -(-dataset.count_rows(filter=condition) // most))
        return _take_each(dataset, columns, condition, step)


def _take_each(dataset: Any, columns: list[str], condition: Any, step: int) -> pa.Table:
    """Return each so many-th row that meets a condition."""
    seen, kept = 0, []
    scanner = dataset.scanner(columns=columns, filter=condition, fragment_readahead=1)
    for batch in scanner.to_batches():
        places = range(-seen % step, batch.num_rows, step)
        kept.append(batch.take(pa.array(places, pa.int64())))
        seen += batch.num_rows
    return pa.Table.from_batches(kept, scanner.projected_schema)


def read_log(uri: Path, columns: Sequence[str], only: Any = None) -> pa.Table | None:
    """Return columns of the rows that `only` (a dataset's filter) keeps; None: nothing is logged.

    A later column that the table lacks is null in every row.

    Raises:
        DataUnavailable: the table cannot be reached.
        KeyError: no table of the traffic log has such a column.
    """
    with translate_errors(uri):
        table = open_table(uri)
        if table is None:
            return None
        known = _name_columns(table)
        found = table.to_pyarrow_dataset().to_table(
            [name for name in columns if name in known], filter=only
        )
    for name in (name for name in columns if name not in known):
        found = found.append_column(name, pa.nulls(found.num_rows, LATER_ANSWERS[name]))
    return found.select(list(columns))


def measure_hours(uri: Path) -> dict[str, int]:
    """Return the bytes of each hour of a table; none where nothing is logged.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        table = open_table(uri)
        return _measure_hours(table)[0] if table is not None else {}


def delete_hours(uri: Path, hours: Sequence[str]) -> None:
    """Delete whole hours from a table.

    Raises:
        StorageFull: no room for the commit; no row is deleted.
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        table = open_table(uri)
        if table is not None and hours:
            listed = ", ".join(f"'{hour}'" for hour in hours)
            table.delete(f"{HOUR} IN ({listed})")


def compact_hours(uri: Path, now: float) -> None:
    """Make one file of each hour before the current one, and remove files without rows in use.

    Raises:
        StorageFull: no room to compact files; no row is lost.
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        table = open_table(uri)
        if table is None:
            return
        current = format_hour(now)
        for hour, files in sorted(_measure_hours(table)[1].items()):
            if hour < current and files > 1:
                table.optimize.compact(partition_filters=[(HOUR, "=", hour)])
        # Files of a batch that was never committed are in no log: only a full vacuum finds them.
        table.vacuum(VACUUM_HOURS, dry_run=False, enforce_retention_duration=False, full=True)


def _measure_hours(table: Any) -> tuple[dict[str, int], dict[str, int]]:
    sizes: dict[str, int] = {}
    files: dict[str, int] = {}
    actions = pa.table(table.get_add_actions(flatten=True))
    hours, bytes_ = actions[f"partition.{HOUR}"].to_pylist(), actions["size_bytes"].to_pylist()
    for hour, size in zip(hours, bytes_, strict=True):
        sizes[hour] = sizes.get(hour, 0) + size
        files[hour] = files.get(hour, 0) + 1
    return sizes, files


def _name_columns(table: Any) -> list[str]:
    return [field.name for field in table.schema().fields]


def open_table(uri: Path) -> Any | None:
    """Return a table of the traffic log; None where nothing was logged yet."""
    from deltalake import DeltaTable

    log = uri / "_delta_log"
    # A writer that was killed before its first commit leaves no table.
    return DeltaTable(str(uri)) if log.is_dir() and any(log.glob("*.json")) else None

"""The traffic log as Delta tables: each record once, by the position that its commit carries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import explain_os_error

HOUR = "hour"
"""Column by which the tables are split: UTC, as 2026-11-23T12."""
TABLE_SETTINGS = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.enableExpiredLogCleanup": "true",
}
VACUUM_HOURS = 1
"""How long a reader may go on with files that a newer version has no more."""


def format_hour(at: float) -> str:
    """Give the hour of a time in seconds since 1970, as the column has it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")


def find_positions(uri: Path, sources: list[str]) -> dict[str, int]:
    """Give how far the table has each source; a source that it has nothing of is left out.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with _reaching(uri):
        table = _open_table(uri)
        if table is None:
            return {}
        found = {source: table.transaction_version(source) for source in sources}
    return {source: int(position) for source, position in found.items() if position is not None}


def append_records(uri: Path, rows: pa.Table, positions: Mapping[str, int], now: float) -> None:
    """Append rows, and with them in one commit how far each source is now, whole or not at all.

    Raises:
        StorageFull: no room; the table stays as it was.
        DataUnavailable: the table cannot be reached.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    marks = [
        Transaction(source, position, last_updated=int(1000 * now))
        for source, position in positions.items()
    ]
    with _reaching(uri):
        uri.mkdir(parents=True, exist_ok=True)
        write_deltalake(
            str(uri),
            rows,
            mode="append",
            partition_by=[HOUR],
            configuration=TABLE_SETTINGS,
            commit_properties=CommitProperties(app_transactions=marks),
        )


def read_units(uri: Path, epoch: int) -> pa.Table | None:
    """Give unit, arm and failure of each answer under one epoch; None where nothing is logged.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    import pyarrow.dataset as ds

    with _reaching(uri):
        table = _open_table(uri)
        if table is None:
            return None
        columns = ["unit", "arm", "failed"]
        return table.to_pyarrow_dataset().to_table(columns, filter=ds.field("epoch") == epoch)


def prune_records(uri: Path, now: float, days: float, most_bytes: int) -> int:
    """Delete the hours that are too old or beyond the size, and give how many went.

    The hour under way stays. Finished hours of many files are put together.

    Raises:
        StorageFull: no room to put files together; no row is lost.
        DataUnavailable: the table cannot be reached.
    """
    with _reaching(uri):
        table = _open_table(uri)
        return _prune(table, now, days, most_bytes) if table is not None else 0


def _prune(table: Any, now: float, days: float, most_bytes: int) -> int:
    sizes, files = _measure_hours(table)
    current = format_hour(now)
    first = format_hour(datetime.fromtimestamp(now, UTC).timestamp() - 86400 * days)
    total = 0
    for hour in sorted(sizes, reverse=True):
        total += sizes[hour]
        if total > most_bytes:
            first = max(first, _next_hour(hour))
            break
    first = min(first, current)
    old = [hour for hour in sizes if hour < first]
    if old:
        table.delete(f"{HOUR} < '{first}'")
    for hour in sorted(files):
        if first <= hour < current and files[hour] > 1:
            table.optimize.compact(partition_filters=[(HOUR, "=", hour)])
    # Files of a batch whose commit never came are in no log: only a full one finds them.
    table.vacuum(VACUUM_HOURS, dry_run=False, enforce_retention_duration=False, full=True)
    return len(old)


def _measure_hours(table: Any) -> tuple[dict[str, int], dict[str, int]]:
    sizes: dict[str, int] = {}
    files: dict[str, int] = {}
    actions = pa.table(table.get_add_actions(flatten=True))
    hours, bytes_ = actions[f"partition.{HOUR}"].to_pylist(), actions["size_bytes"].to_pylist()
    for hour, size in zip(hours, bytes_, strict=True):
        sizes[hour] = sizes.get(hour, 0) + size
        files[hour] = files.get(hour, 0) + 1
    return sizes, files


def _next_hour(hour: str) -> str:
    start = datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return format_hour((start + timedelta(hours=1)).timestamp())


def _open_table(uri: Path) -> Any | None:
    from deltalake import DeltaTable

    log = uri / "_delta_log"
    # A writer that was killed before its first commit leaves no table.
    return DeltaTable(str(uri)) if log.is_dir() and any(log.glob("*.json")) else None


@contextmanager
def _reaching(uri: Path) -> Iterator[None]:
    """Turn what the file system and Delta raise into our errors."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (OSError, DeltaError) as error:
        raise explain_os_error(error, f"table {uri}") from error

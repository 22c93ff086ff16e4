"""The traffic log as Delta tables; each commit has its position, so a record is in it once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import explain_os_error
from sluice.data.retention import format_hour

HOUR = "hour"
"""Column by which the tables are partitioned: UTC, such as 2026-11-23T12."""
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
    with _translate_errors(uri):
        table = _open_table(uri)
        if table is None:
            return {}
        found = {source: table.transaction_version(source) for source in sources}
    return {source: int(position) for source, position in found.items() if position is not None}


def append_records(uri: Path, rows: pa.Table, positions: Mapping[str, int], now: float) -> None:
    """Append rows and the sources' new positions in one commit, whole or not at all.

    Raises:
        StorageFull: the disk is full; the table does not change.
        DataUnavailable: the table cannot be reached.
    """
    from deltalake import CommitProperties, Transaction, write_deltalake

    marks = [
        Transaction(source, position, last_updated=int(1000 * now))
        for source, position in positions.items()
    ]
    with _translate_errors(uri):
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
    """Return unit, arm and failure of each answer in one epoch; None where nothing is logged.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    import pyarrow.dataset as ds

    with _translate_errors(uri):
        table = _open_table(uri)
        if table is None:
            return None
        columns = ["unit", "arm", "failed"]
        return table.to_pyarrow_dataset().to_table(columns, filter=ds.field("epoch") == epoch)


def measure_hours(uri: Path) -> dict[str, int]:
    """Return the bytes of each hour of a table; none where nothing is logged.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with _translate_errors(uri):
        table = _open_table(uri)
        return _measure_hours(table)[0] if table is not None else {}


def delete_hours(uri: Path, hours: Sequence[str]) -> None:
    """Delete whole hours from a table.

    Raises:
        StorageFull: no room for the commit; no row is deleted.
        DataUnavailable: the table cannot be reached.
    """
    with _translate_errors(uri):
        table = _open_table(uri)
        if table is not None and hours:
            listed = ", ".join(f"'{hour}'" for hour in hours)
            table.delete(f"{HOUR} IN ({listed})")


def compact_hours(uri: Path, now: float) -> None:
    """Make one file of each hour before the current one, and remove files without rows in use.

    Raises:
        StorageFull: no room to compact files; no row is lost.
        DataUnavailable: the table cannot be reached.
    """
    with _translate_errors(uri):
        table = _open_table(uri)
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


def _open_table(uri: Path) -> Any | None:
    from deltalake import DeltaTable

    log = uri / "_delta_log"
    # A writer that was killed before its first commit leaves no table.
    return DeltaTable(str(uri)) if log.is_dir() and any(log.glob("*.json")) else None


@contextmanager
def _translate_errors(uri: Path) -> Iterator[None]:
    """Translate errors of the file system and of Delta into our errors."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (OSError, DeltaError) as error:
        raise explain_os_error(error, f"table {uri}") from error

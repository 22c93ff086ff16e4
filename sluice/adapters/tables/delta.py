"""A service's data as one Delta Lake table: each ingest is a version, and no version changes.

A version log beside the table (the file `.ledger`) has a line for each version that was written.
It is also the lock of the writers. It shows whether a missing table is unreachable (an
infrastructure error) or was never created (the service has no data).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import open_locked, translate_errors
from sluice.data.evolution import (
    SchemaChange,
    describe_kinds,
    follow_changes,
    mark_rows_before,
)
from sluice.data.version import DataVersion, hash_content, hash_schema
from sluice.documents import parse_json
from sluice.errors import DataInvalid, DataMissing, DataUnavailable

AUTHOR = "by"
BATCH_HASH, CONTENT_HASH, SCHEMA_HASH = "batchHash", "contentHash", "schemaHash"
ROWS = "rows"
SCHEMA_CHANGE = "schemaChange"
"""The fact of a commit that changed the schema: the change, as JSON."""
TABLE_SETTINGS = {
    "delta.appendOnly": "true",
    "delta.enableExpiredLogCleanup": "false",  # old versions stay readable
}


def append_batch(
    uri: Path, table: pa.Table, facts: dict[str, str], id_column: str = ""
) -> DataVersion:
    """Append a batch as the table's next version, whole or not at all.

    The first batch creates the table as version 0. The commit records `facts` (the batch's origin)
    and the hashes. A batch whose content was already appended is not written again: its version is
    returned.

    Raises:
        DataInvalid: the batch has another schema than the table, or ids that the table has.
        StorageFull: the disk is full; the table stays at its version.
        DataUnavailable: the table cannot be reached.
    """
    batch_hash = hash_content(table)
    with translate_errors(uri), open_locked(version_log_path(uri)) as version_log:
        existing = find_batch(uri, batch_hash)
        if existing:
            return existing
        before = read_rows(open_table(uri)) if is_created(uri) else None
        whole = table if before is None else _combine_rows(before, table, id_column)
        data = DataVersion(
            uri=str(uri),
            version=open_table(uri).version() + 1 if before is not None else 0,
            rows=whole.num_rows,
            schema_hash=hash_schema(whole.schema),
            content_hash=hash_content(whole) if before is not None else batch_hash,
        )
        _write_version(uri, table, {**facts, **_describe(data, batch_hash)}, before is None)
        version_log.write(f"{data.version}\n")
    return data


def find_batch(uri: Path, content_hash: str) -> DataVersion | None:
    """Return the version that a batch with this content hash created; None if there is none.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        if not is_created(uri):
            return None
        for version in range(open_table(uri).version(), -1, -1):
            commit = read_commit(uri, version)
            if commit.get(BATCH_HASH) == content_hash:
                return _recorded_version(uri, version, commit)
    return None


def latest_version(uri: Path, service: str) -> int:
    """Return the number of the newest version of the service's table.

    Raises:
        DataMissing: the service has no data yet.
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        require_table(uri, service)
        return int(open_table(uri).version())


def count_rows(uri: Path, version: int) -> int:
    """Return the number of rows of one version from its log, without reading rows.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        return int(open_table(uri, version).count())


def list_versions(uri: Path, service: str) -> list[DataVersion]:
    """Return every version with its recorded hashes, oldest first, without reading rows.

    Raises:
        DataMissing: the service has no data yet.
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        require_table(uri, service)
        versions = range(open_table(uri).version() + 1)
        commits = {version: read_commit(uri, version) for version in versions}
    return [
        _recorded_version(uri, version, commit)
        for version, commit in commits.items()
        if CONTENT_HASH in commit
    ]


def read_version(
    uri: Path,
    service: str,
    version: int,
    id_column: str = "",
    columns: Mapping[str, str] | None = None,
) -> tuple[pa.Table, DataVersion]:
    """Read one version and check it against the hash that was recorded when it was written.

    Rows are sorted by `id_column` where it is given. `columns`, the columns and kinds of a
    configuration, are those in which the rows are returned, where the schema has changed since;
    the facts stay those of the version as it was written. A field that was added later knows how
    many rows are older than it (`ROWS_BEFORE`).

    Raises:
        DataMissing: the service has no data yet, or not this version.
        DataInvalid: the files contain other rows than were written.
        DataUnavailable: the table, or one of its files, cannot be reached.
    """
    with translate_errors(uri):
        require_table(uri, service)
        newest = open_table(uri).version()
        if not 0 <= version <= newest:
            known = f"versions 0 to {newest}" if newest else "only version 0"
            raise DataMissing(f"{service}: no data version {version}; the table has {known}")
        table = read_rows(open_table(uri, version))
        recorded = read_commit(uri, version).get(CONTENT_HASH)
        history = read_changes(uri)
    found = hash_content(table)
    if recorded not in (None, found):
        raise DataInvalid(
            f"{service}: data version {version} contains other rows than were written: "
            f"content hash {found[:12]}, recorded {recorded[:12]}; restore the folder {uri}"
        )
    data = DataVersion(str(uri), version, table.num_rows, hash_schema(table.schema), found)
    table = _mark_added(table, [item for item in history if item.version <= version])
    if columns is not None:
        later = [item.change for item in history if item.version > version]
        table = follow_changes(table, later, columns)
    return table.sort_by(id_column) if id_column else table, data


@dataclass(frozen=True)
class RecordedChange:
    """A change of the schema, the version that it made, and how many rows the table had then."""

    version: int
    rows: int
    change: SchemaChange
    author: str = ""
    """Who made it."""


def read_changes(uri: Path, after: int = -1) -> list[RecordedChange]:
    """Return the changes of the schema, oldest first: those of the versions above `after`.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        if not is_created(uri):
            return []
        newest = open_table(uri).version()
        commits = {version: read_commit(uri, version) for version in range(after + 1, newest + 1)}
    return [
        RecordedChange(
            version,
            int(commit[ROWS]),
            SchemaChange(**parse_json(commit[SCHEMA_CHANGE])),
            str(commit.get(AUTHOR, "")),
        )
        for version, commit in commits.items()
        if SCHEMA_CHANGE in commit
    ]


def read_kinds(uri: Path, version: int | None = None) -> dict[str, str]:
    """Return the columns of a version, by default the newest, and their kinds; no rows are read.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        schema = pa.schema(open_table(uri, version).schema().to_arrow())
    return describe_kinds(plain_schema(schema))


def find_kinds(uri: Path) -> dict[str, str] | None:
    """Return the newest version's columns and their kinds; None where there is no table yet.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        return read_kinds(uri) if is_created(uri) else None


def _mark_added(table: pa.Table, history: list[RecordedChange]) -> pa.Table:
    """Mark the columns that were added by a change with the number of older rows."""
    rows: dict[str, int] = {}
    for item in history:
        change = item.change
        known = rows.pop(change.column, 0)
        if change.action == "add":
            rows[change.column] = item.rows
        elif known and change.action != "drop":
            rows[change.name or change.column] = known
    fields = [
        mark_rows_before(field.name, field.type, rows[field.name]) if field.name in rows else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields)) if rows else table


def version_log_path(uri: Path) -> Path:
    """Return the version log of a table, which is also the lock of its writers."""
    return uri.with_name(f"{uri.name}.ledger")


def is_created(uri: Path) -> bool:
    """Return whether a version was ever written.

    Raises:
        DataUnavailable: one was, and the table is missing.
    """
    log = uri / "_delta_log"
    if log.is_dir() and any(path.suffix == ".json" for path in log.iterdir()):
        return True
    version_log = version_log_path(uri)
    if version_log.exists() and version_log.read_text(encoding="utf-8").strip():
        raise DataUnavailable(
            f"{uri}: the table existed and cannot be found now; "
            f"if it was deleted on purpose, delete {version_log.name} beside it as well"
        )
    return False


def require_table(uri: Path, service: str) -> None:
    """Check that a service has data.

    Raises:
        DataMissing: it has none yet.
        DataUnavailable: it had some, and the table is missing.
    """
    if not is_created(uri):
        raise DataMissing(f"{service}: no data yet; ingest a file: sluice ingest {service} FILE")


def open_table(uri: Path, version: int | None = None) -> Any:
    """Return a version of a table, opened by the library; by default the newest."""
    from deltalake import DeltaTable

    return DeltaTable(str(uri), version=version)


def read_rows(opened: Any) -> pa.Table:
    """Return all rows of an opened version.

    Raises:
        DataInvalid: a file is damaged.
    """
    try:
        table = opened.to_pyarrow_table()
    except pa.ArrowInvalid as error:
        raise DataInvalid(
            f"data version {opened.version()}: a file of the table is damaged: "
            f"{str(error).splitlines()[0][:200]}; restore the folder"
        ) from error
    return table.cast(plain_schema(table.schema))


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema in which text has one type."""
    types = pa.types
    kinds = [
        pa.string() if types.is_large_string(kind) or types.is_string_view(kind) else kind
        for kind in schema.types
    ]
    return pa.schema(list(zip(schema.names, kinds, strict=True)))


def _combine_rows(before: pa.Table, table: pa.Table, id_column: str) -> pa.Table:
    """Return the rows of both tables.

    Raises:
        DataInvalid: their schemas differ, or both have an id.
    """
    import pyarrow.compute as pc

    if hash_schema(before.schema) != hash_schema(table.schema):
        pairs = {f"{field.name}: {field.type}" for field in before.schema}
        other = sorted(pairs ^ {f"{field.name}: {field.type}" for field in table.schema})
        raise DataInvalid(
            f"the batch has another schema than the table: {', '.join(other)}; "
            "next: ingest it again with the configuration of today"
        )
    if id_column:
        ids = table[id_column]
        known = ids.filter(pc.is_in(ids, value_set=before[id_column].combine_chunks()))
        if len(known):
            first = ", ".join(str(value) for value in known[:3].to_pylist())
            raise DataInvalid(
                f"{len(known):,} of {table.num_rows:,} rows carry a {id_column} that the table "
                f"already has (first: {first}); allowed: new rows only"
            )
    return pa.concat_tables([before, table.select(before.column_names)])


def _describe(data: DataVersion, batch_hash: str) -> dict[str, str]:
    return {
        BATCH_HASH: batch_hash,
        CONTENT_HASH: data.content_hash,
        SCHEMA_HASH: data.schema_hash,
        ROWS: str(data.rows),
    }


def read_commit(uri: Path, version: int) -> dict[str, Any]:
    """Return one commit's facts; the library's own history has wrong numbers for old versions."""
    text = (uri / "_delta_log" / f"{version:020}.json").read_text(encoding="utf-8")
    actions = [parse_json(line) for line in text.splitlines() if line.strip()]
    return {key: value for action in actions for key, value in action.get("commitInfo", {}).items()}


def _recorded_version(uri: Path, version: int, commit: dict[str, Any]) -> DataVersion:
    return DataVersion(
        uri=str(uri),
        version=version,
        rows=int(commit[ROWS]),
        schema_hash=str(commit[SCHEMA_HASH]),
        content_hash=str(commit[CONTENT_HASH]),
    )


def _write_version(uri: Path, table: pa.Table, facts: dict[str, str], create: bool) -> None:
    from deltalake import CommitProperties, write_deltalake

    write_deltalake(
        str(uri),
        table,
        mode="append",
        configuration=TABLE_SETTINGS if create else None,
        commit_properties=CommitProperties(custom_metadata=facts),
    )

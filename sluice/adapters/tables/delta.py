"""A service's data as one Delta Lake table: each ingest is a version, and no version changes.

A version log beside the table (the file `.ledger`) has a line for each version that was written.
It is also the lock of the writers. It shows whether a missing table is unreachable (an
infrastructure error) or was never created (the service has no data).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.storage import explain_os_error, open_locked
from sluice.data.version import DataVersion, hash_content, hash_schema
from sluice.documents import parse_json
from sluice.errors import DataInvalid, DataMissing, DataUnavailable

BATCH_HASH, CONTENT_HASH, SCHEMA_HASH = "batchHash", "contentHash", "schemaHash"
ROWS = "rows"
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
    with _translate_errors(uri), open_locked(_version_log_path(uri)) as version_log:
        existing = find_batch(uri, batch_hash)
        if existing:
            return existing
        before = _read_rows(_open_table(uri)) if _is_created(uri) else None
        whole = table if before is None else _combine_rows(before, table, id_column)
        data = DataVersion(
            uri=str(uri),
            version=_open_table(uri).version() + 1 if before is not None else 0,
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
    with _translate_errors(uri):
        if not _is_created(uri):
            return None
        for version in range(_open_table(uri).version(), -1, -1):
            commit = _read_commit(uri, version)
            if commit.get(BATCH_HASH) == content_hash:
                return _recorded_version(uri, version, commit)
    return None


def latest_version(uri: Path, service: str) -> int:
    """Return the number of the newest version of the service's table.

    Raises:
        DataMissing: the service has no data yet.
        DataUnavailable: the table cannot be reached.
    """
    with _translate_errors(uri):
        _require_table(uri, service)
        return int(_open_table(uri).version())


def count_rows(uri: Path, version: int) -> int:
    """Return the number of rows of one version from its log, without reading rows.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with _translate_errors(uri):
        return int(_open_table(uri, version).count())


def list_versions(uri: Path, service: str) -> list[DataVersion]:
    """Return every version with its recorded hashes, oldest first, without reading rows.

    Raises:
        DataMissing: the service has no data yet.
        DataUnavailable: the table cannot be reached.
    """
    with _translate_errors(uri):
        _require_table(uri, service)
        versions = range(_open_table(uri).version() + 1)
        commits = {version: _read_commit(uri, version) for version in versions}
    return [
        _recorded_version(uri, version, commit)
        for version, commit in commits.items()
        if CONTENT_HASH in commit
    ]


def read_version(
    uri: Path, service: str, version: int, id_column: str = ""
) -> tuple[pa.Table, DataVersion]:
    """Read one version and check it against the hash that was recorded when it was written.

    Rows are sorted by `id_column` where it is given.

    Raises:
        DataMissing: the service has no data yet, or not this version.
        DataInvalid: the files contain other rows than were written.
        DataUnavailable: the table, or one of its files, cannot be reached.
    """
    with _translate_errors(uri):
        _require_table(uri, service)
        newest = _open_table(uri).version()
        if not 0 <= version <= newest:
            known = f"versions 0 to {newest}" if newest else "only version 0"
            raise DataMissing(f"{service}: no data version {version}; the table has {known}")
        table = _read_rows(_open_table(uri, version))
        recorded = _read_commit(uri, version).get(CONTENT_HASH)
    found = hash_content(table)
    if recorded not in (None, found):
        raise DataInvalid(
            f"{service}: data version {version} contains other rows than were written: "
            f"content hash {found[:12]}, recorded {recorded[:12]}; restore the folder {uri}"
        )
    table = table.sort_by(id_column) if id_column else table
    schema_hash = hash_schema(table.schema)
    return table, DataVersion(str(uri), version, table.num_rows, schema_hash, found)


def _version_log_path(uri: Path) -> Path:
    return uri.with_name(f"{uri.name}.ledger")


def _is_created(uri: Path) -> bool:
    """Return whether a version was ever written.

    Raises:
        DataUnavailable: one was, and the table is missing.
    """
    log = uri / "_delta_log"
    if log.is_dir() and any(path.suffix == ".json" for path in log.iterdir()):
        return True
    version_log = _version_log_path(uri)
    if version_log.exists() and version_log.read_text(encoding="utf-8").strip():
        raise DataUnavailable(
            f"{uri}: the table existed and cannot be found now; "
            f"if it was deleted on purpose, delete {version_log.name} beside it as well"
        )
    return False


def _require_table(uri: Path, service: str) -> None:
    if not _is_created(uri):
        raise DataMissing(f"{service}: no data yet; ingest a file: sluice ingest {service} FILE")


def _open_table(uri: Path, version: int | None = None) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(str(uri), version=version)


def _read_rows(opened: Any) -> pa.Table:
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
    kinds = [pa.string() if pa.types.is_large_string(kind) else kind for kind in table.schema.types]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _combine_rows(before: pa.Table, table: pa.Table, id_column: str) -> pa.Table:
    """Return the rows of both tables.

    Raises:
        DataInvalid: their schemas differ, or both have an id.
    """
    import pyarrow.compute as pc

    if hash_schema(before.schema) != hash_schema(table.schema):
        pairs = {f"{field.name}: {field.type}" for field in before.schema}
        other = sorted(pairs ^ {f"{field.name}: {field.type}" for field in table.schema})
        raise DataInvalid(f"the batch has another schema than the table: {', '.join(other)}")
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


def _read_commit(uri: Path, version: int) -> dict[str, Any]:
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


@contextmanager
def _translate_errors(uri: Path) -> Iterator[None]:
    """Translate errors of the file system and of Delta into our errors."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (OSError, DeltaError, json.JSONDecodeError) as error:
        raise explain_os_error(error, f"table {uri}") from error

"""Changes of a table's schema: each is one commit, so that the table is as before or as after.

A new column is a commit of the library. A column that is renamed, widened or dropped needs files
that are written again, and the library makes no such commit on a table that only grows
(`delta.appendOnly`). The protocol allows one there if no row changes: its removed and added files
carry `dataChange: false`. That commit is written here; its files and its schema are the library's.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from sluice.adapters.storage import open_locked, translate_errors
from sluice.adapters.tables.delta import (
    CONTENT_HASH,
    ROWS,
    SCHEMA_CHANGE,
    SCHEMA_HASH,
    find_kinds,
    open_table,
    read_version,
    version_log_path,
)
from sluice.data.evolution import SchemaChange, apply_change
from sluice.data.version import DataVersion, hash_content, hash_schema
from sluice.documents import parse_json
from sluice.errors import DataUnavailable

OPERATION = "CHANGE SCHEMA"


class LockedTable:
    """A service's table that no other process writes meanwhile."""

    def __init__(self, uri: Path, service: str, version_log: IO[str]) -> None:
        self._uri, self._service, self._version_log = uri, service, version_log

    def find_kinds(self) -> dict[str, str] | None:
        """Return the newest version's columns and their kinds; None without any data yet."""
        return find_kinds(self._uri)

    def apply(self, change: SchemaChange, facts: dict[str, str]) -> DataVersion:
        """Write the next version, with the same rows after the change; the commit records `facts`.

        Raises:
            DataInvalid: the newest version has other rows than were written, or a value does not
                fit the wider kind.
            StorageFull: the disk is full; the table stays at its version.
            DataUnavailable: the table cannot be reached.
        """
        uri = self._uri
        with translate_errors(uri):
            opened = open_table(uri)
            before, _ = read_version(uri, self._service, opened.version())
            table = apply_change(before, change)
            content_hash, schema_hash = hash_content(table), hash_schema(table.schema)
            version = opened.version() + 1
            data = DataVersion(str(uri), version, table.num_rows, schema_hash, content_hash)
            recorded = {
                **facts,
                CONTENT_HASH: content_hash,
                SCHEMA_HASH: schema_hash,
                ROWS: str(data.rows),
                SCHEMA_CHANGE: change.to_json(),
            }
            if change.action == "add":
                _add_column(opened, table.schema.field(change.column), recorded)
            else:
                _write_again(uri, opened, table, recorded)
            self._version_log.write(f"{version}\n")
        return data


@contextmanager
def lock_table(uri: Path, service: str) -> Iterator[LockedTable]:
    """Hold a service's table against other writers while the block runs.

    Raises:
        DataUnavailable: the folder cannot be reached.
    """
    with translate_errors(uri), open_locked(version_log_path(uri)) as version_log:
        yield LockedTable(uri, service, version_log)


def _add_column(opened: Any, field: pa.Field, facts: dict[str, str]) -> None:
    from deltalake import CommitProperties, Schema

    fields = Schema.from_arrow(pa.schema([field.remove_metadata()])).fields
    opened.alter.add_columns(fields, commit_properties=CommitProperties(custom_metadata=facts))


def _write_again(uri: Path, opened: Any, table: pa.Table, facts: dict[str, str]) -> None:
    """Write all rows into new files, and commit them instead of the old ones."""
    from deltalake import write_deltalake

    staging = uri.with_name(f".{uri.name}-rewritten")
    shutil.rmtree(staging, ignore_errors=True)  # a writer was killed before its commit
    try:
        plain = table.cast(pa.schema([field.remove_metadata() for field in table.schema]))
        write_deltalake(str(staging), plain)
        added, metadata = _read_written(staging)
        for action in added:
            (staging / action["path"]).replace(uri / action["path"])
        _commit(uri, opened, [_describe(opened, metadata), *_remove(opened), *_add(added)], facts)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _read_written(staging: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    text = (staging / "_delta_log" / f"{0:020}.json").read_text(encoding="utf-8")
    actions = [parse_json(line) for line in text.splitlines() if line.strip()]
    added = [action["add"] for action in actions if "add" in action]
    return added, next(action["metaData"] for action in actions if "metaData" in action)


def _describe(opened: Any, written: dict[str, Any]) -> dict[str, Any]:
    """Return the action of the table's metadata: all as before, and the new schema."""
    found = opened.metadata()
    return {
        "metaData": {
            **written,
            "id": str(found.id),
            "name": found.name,
            "description": found.description,
            "createdTime": found.created_time,
            "configuration": dict(found.configuration),
        }
    }


def _remove(opened: Any) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    return [
        {
            "remove": {
                "path": item["path"],
                "deletionTimestamp": now,
                "dataChange": False,
                "extendedFileMetadata": True,
                "partitionValues": {},
                "size": item["size_bytes"],
            }
        }
        for item in pa.table(opened.get_add_actions(flatten=True)).to_pylist()
    ]


def _add(added: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"add": {**action, "dataChange": False}} for action in added]


def _commit(uri: Path, opened: Any, actions: list[dict[str, Any]], facts: dict[str, str]) -> None:
    """Write the commit's file whole, under a name that only one writer can take.

    Raises:
        DataUnavailable: another writer took the name.
    """
    version = opened.version() + 1
    info = {"timestamp": int(time.time() * 1000), "operation": OPERATION, **facts}
    lines = [json.dumps(action) for action in ({"commitInfo": info}, *actions)]
    path = uri / "_delta_log" / f"{version:020}.json"
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError as error:
        raise DataUnavailable(f"table {uri}: another writer made version {version}") from error
    finally:
        draft.unlink(missing_ok=True)

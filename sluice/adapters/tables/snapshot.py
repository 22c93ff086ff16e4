"""A release's copy of its data versions: read and checked once, kept in its scratch folder.

Every later step reads the checked rows, even if the table changes or is unreachable meanwhile.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from sluice.adapters.storage import draft_file, explain_os_error
from sluice.adapters.tables.delta import read_version
from sluice.data.version import DataVersion
from sluice.documents import parse_json

FACTS = b"sluice.data"


def read_once(
    folder: Path,
    uri: Path,
    service: str,
    version: int,
    id_column: str,
    *,
    columns: Mapping[str, str] | None = None,
) -> tuple[pa.Table, DataVersion]:
    """Return a version's rows, sorted by id, from the folder, or from the table the first time.

    `columns` are those of the configuration, in which the rows are returned (`read_version`).

    Raises:
        DataMissing: the service has no data yet, or not this version.
        DataInvalid: the table's files contain other rows than were written.
        StorageFull: the disk is full.
        DataUnavailable: the table, or the folder, cannot be reached.
    """
    path = _locate(folder, version)
    if path.exists():
        try:
            return _read(path)
        except (OSError, KeyError, ValueError):  # damaged: the table has the same rows
            path.unlink(missing_ok=True)
    table, data = read_version(uri, service, version, id_column, columns)
    keep_version(folder, table, data)
    return table, data


def keep_version(folder: Path, table: pa.Table, data: DataVersion) -> None:
    """Write checked rows to a file for `read_once`, whole or not at all.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to.
    """
    path = _locate(folder, data.version)
    marked = table.replace_schema_metadata({FACTS: json.dumps(asdict(data))})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            draft_file(path) as draft,
            pa.OSFile(str(draft), "wb") as sink,
            pa.ipc.new_file(sink, marked.schema) as writer,
        ):
            writer.write_table(marked)
    except OSError as error:
        raise explain_os_error(error, f"copy of data version {data.version}") from error


def _locate(folder: Path, version: int) -> Path:
    return folder / f"data-{version}.arrow"


def _read(path: Path) -> tuple[pa.Table, DataVersion]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        table = reader.read_all()
    facts = parse_json(table.schema.metadata[FACTS])
    return table.replace_schema_metadata(None), DataVersion(**facts)

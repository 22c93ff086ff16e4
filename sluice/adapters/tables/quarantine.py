"""The quarantine of a service: refused batches, decisions about them, and recorded exceptions.

A decision is written once, before it has any effect, and its effect once, afterwards. So of two
decisions at the same time one counts, and one that was interrupted can be completed.
"""

import csv
import json
import os
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from sluice.adapters.storage import draft_file, explain_os_error
from sluice.adapters.tables.delta import read_changes
from sluice.data.batches.exceptions import Exceptions, follow_schema, gather_exceptions
from sluice.data.batches.quarantine import DecisionEffect, QuarantinedBatch, QuarantineDecision
from sluice.documents import DocumentInvalid, read_json
from sluice.errors import CommandRefused, DataInvalid
from sluice.verdict import Verdict

BATCH, VERDICT, BAD_ROWS = "batch.parquet", "verdict.json", "bad_rows.csv"
DECISION, EFFECT = "decision.json", "effect.json"
DAMAGES = (DocumentInvalid, FileNotFoundError, LookupError, TypeError, ValueError, csv.Error)
"""What reading the files of a batch raises where one is missing or damaged."""
LEAST_CHARACTERS = 4
"""Fewest characters of a content hash that name a batch."""
NAMES_OF = b"sluice.names_of_version"
"""Metadata of a file of exceptions: the table's version whose columns' names it has."""


def list_quarantined(folder: Path) -> list[QuarantinedBatch]:
    """Return the refused batches of a service, oldest first.

    A batch with a damaged file has its `damage`, so that the others can be decided about. A folder
    that was not written to its end, because of a kill, is no batch.

    Raises:
        DataUnavailable: the folder cannot be reached.
    """
    try:
        if not folder.is_dir():
            return []
        places = [path for path in folder.iterdir() if not path.name.startswith(".")]
        found = [_read_or_mark(path) for path in places if (path / BATCH).is_file()]
    except OSError as error:
        raise explain_os_error(error, f"quarantine {folder}") from error
    return sorted(found, key=lambda item: (item.refused_at, item.name))


def find_quarantined(folder: Path, name: str) -> QuarantinedBatch:
    """Return the batch whose content hash begins with `name`.

    Raises:
        CommandRefused: no batch, or more than one, begins so.
        DataInvalid: a file of this batch is damaged.
        DataUnavailable: the folder cannot be reached.
    """
    known = list_quarantined(folder)
    found = [item for item in known if item.name.startswith(name.lower())]
    if len(found) == 1 and len(name) >= LEAST_CHARACTERS:
        if found[0].damage:
            raise DataInvalid(
                f"{found[0].damage}; next: restore the folder from a copy, or ingest its "
                f"{BATCH} if that can be read, and delete the folder"
            )
        return found[0]
    listed = ", ".join(item.short_name for item in (found or known)) or "none, it is empty"
    raise CommandRefused(
        f"found batch '{name}'; allowed: at least {LEAST_CHARACTERS} characters that begin one of "
        f"the batches in quarantine: {listed}"
    )


def read_refusal(folder: Path, batch: QuarantinedBatch) -> tuple[pa.Table, Verdict, pa.Table]:
    """Return a refused batch's rows, its verdict, and its bad rows as text.

    Raises:
        DataInvalid: a file of the batch is damaged.
        DataUnavailable: the folder cannot be reached.
    """
    place = folder / batch.name
    try:
        rows = parquet.read_table(place / BATCH)
        return rows, Verdict.from_dict(read_json(place / VERDICT)), _read_bad_rows(place)
    except DAMAGES as error:
        raise DataInvalid(f"quarantine {place}: a file is damaged: {error}") from error
    except OSError as error:
        raise explain_os_error(error, f"quarantine {place}") from error


def decide(
    folder: Path, batch: QuarantinedBatch, decision: QuarantineDecision
) -> QuarantineDecision:
    """Write a decision about a batch, and return the one that counts: the first.

    Raises:
        CommandRefused: another answer was given before.
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be reached.
    """
    path = folder / batch.name / DECISION
    first = QuarantineDecision.from_dict(_write_once(path, decision.to_dict()))
    if first.answer != decision.answer:
        raise CommandRefused(
            f"batch {batch.short_name}: found the answer '{first.answer}' of {first.by} at "
            f"{first.at:%Y-%m-%d %H:%M} UTC ({first.reason}); allowed: the same answer, which "
            "completes it"
        )
    return first


def settle(folder: Path, batch: QuarantinedBatch, effect: DecisionEffect) -> DecisionEffect:
    """Write what a decision did, and return what counts: the first effect that was written.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be reached.
    """
    return DecisionEffect(**_write_once(folder / batch.name / EFFECT, asdict(effect)))


def record_exceptions(folder: Path, batch: str, exceptions: pa.Table, version: int) -> None:
    """Write the exceptions of an accepted batch under its content hash, whole or not at all.

    `version` is the version of the table, -1 before the first, whose columns' names they have.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be reached.
    """
    target = folder / f"{batch}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        named = exceptions.replace_schema_metadata({NAMES_OF: str(version)})
        with draft_file(target) as draft:
            parquet.write_table(named, draft)
    except OSError as error:
        raise explain_os_error(error, f"exceptions {target}") from error


def read_exceptions(folder: Path, table: Path) -> Exceptions:
    """Return every exception that was recorded for a service, with the columns' names of today.

    `table` is the service's table, which knows the columns that were renamed or dropped since.

    Raises:
        DataInvalid: a file is damaged.
        DataUnavailable: the folder cannot be reached.
    """
    try:
        paths = sorted(folder.glob("[!.]*.parquet")) if folder.is_dir() else []
        changes = read_changes(table) if paths else []
        found = []
        for path in paths:
            exceptions = parquet.read_table(path)
            version = int((exceptions.schema.metadata or {}).get(NAMES_OF, -1))
            later = [item.change for item in changes if item.version > version]
            found.append(follow_schema(exceptions, later))
        return gather_exceptions(found)
    except pa.ArrowInvalid as error:
        raise DataInvalid(f"exceptions {folder}: a file is damaged: {error}") from error
    except OSError as error:
        raise explain_os_error(error, f"exceptions {folder}") from error


def _read_or_mark(place: Path) -> QuarantinedBatch:
    """Return a batch; one with a damaged file has no facts but the damage."""
    try:
        return _read_batch(place)
    except DataInvalid as error:
        refused_at = datetime.fromtimestamp((place / BATCH).stat().st_mtime, UTC)
        return QuarantinedBatch(place.name, 0, 0, "", str(error), refused_at, damage=str(error))


def _read_batch(place: Path) -> QuarantinedBatch:
    """Return a batch with what was decided about it.

    Raises:
        DataInvalid: a file of the batch is missing or damaged.
    """
    try:
        record = read_json(place / VERDICT)
        found = QuarantinedBatch(
            name=place.name,
            rows=parquet.read_metadata(place / BATCH).num_rows,
            bad_rows=len(set(_read_bad_rows(place).column(2).to_pylist())),
            source=str(record.get("source", "")),
            reason=str(record["reason"]),
            refused_at=datetime.fromtimestamp((place / BATCH).stat().st_mtime, UTC),
        )
        if (place / DECISION).exists():
            values = read_json(place / DECISION)
            found = replace(found, decision=QuarantineDecision.from_dict(values))
        if (place / EFFECT).exists():
            found = replace(found, effect=DecisionEffect(**read_json(place / EFFECT)))
    except DAMAGES as error:
        raise DataInvalid(f"quarantine {place}: a file is damaged: {error}") from error
    return found


def _read_bad_rows(place: Path) -> pa.Table:
    """Return the file of bad rows, every cell as text, however long."""
    csv.field_size_limit(sys.maxsize)
    with (place / BAD_ROWS).open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    columns = [[line[at] for line in lines] for at in range(len(header))]
    return pa.table([pa.array(column, pa.string()) for column in columns], names=header)


def _write_once(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON file unless it exists, whole or not at all; return what the file has."""
    staging = None
    try:
        handle, staging = tempfile.mkstemp(prefix=".incoming-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(values, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(staging, path)
        except FileExistsError:
            found: dict[str, Any] = read_json(path)
            return found
    except OSError as error:
        raise explain_os_error(error, str(path)) from error
    finally:
        if staging is not None:
            Path(staging).unlink(missing_ok=True)
    return values

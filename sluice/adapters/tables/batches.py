"""Batches outside the table: kept until they are appended, or quarantined with their bad rows."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from sluice.adapters.storage import explain_os_error
from sluice.data.version import hash_content
from sluice.verdict import Verdict


def keep_batch(path: Path, table: pa.Table) -> None:
    """Write a batch to a scratch file, and create its folder.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    except OSError as error:
        raise explain_os_error(error, f"scratch file {path}") from error


def read_kept(path: Path) -> pa.Table:
    """Return the batch of a scratch file.

    Raises:
        DataUnavailable: the scratch file cannot be read.
    """
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
            return reader.read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise explain_os_error(error, f"scratch file {path}") from error


def quarantine_batch(
    folder: Path, table: pa.Table, verdict: Verdict, bad_rows: pa.Table, source: str
) -> Path:
    """Write a refused batch into a folder named by its content hash, whole or not at all.

    The folder has `batch.parquet`, `verdict.json` (with `source`, the batch's origin) and
    `bad_rows.csv`. A batch that is already there keeps its rows and gets the newer verdict.

    Raises:
        StorageFull: the disk is full; no incomplete folder is left.
        DataUnavailable: the folder cannot be reached.
    """
    target = folder / hash_content(table)
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder))
        parquet.write_table(table, staging / "batch.parquet")
        record = {"source": source, **verdict.to_dict()}
        (staging / "verdict.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        csv.write_csv(bad_rows, staging / "bad_rows.csv")
        _put_in_place(staging, target)
    except OSError as error:
        raise explain_os_error(error, f"quarantine {target}") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _put_in_place(staging: Path, target: Path) -> None:
    """Move the folder to its name; in an existing one, replace the files of the verdict."""
    try:
        staging.rename(target)
    except OSError:
        if not (target / "batch.parquet").exists():
            raise
        for name in ("bad_rows.csv", "verdict.json"):
            os.replace(staging / name, target / name)  # noqa: PTH105

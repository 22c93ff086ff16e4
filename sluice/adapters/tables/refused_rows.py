"""Rows that were refused one by one: kept as they were found, with the reason for each."""

import hashlib
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from sluice.adapters.storage import draft_file, explain_os_error
from sluice.data.batches.refusal import ReadRows

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Makes the file UTF-8, whatever encoding the service's files have."""


def keep_refused_rows(folder: Path, found: ReadRows, delimiter: str, source: str) -> Path:
    """Write refused rows into a folder, and the reasons beside them; return the rows' file.

    Rows of text are written as CSV, as the service reads it, others as Parquet. The name is a hash
    of the rows, so that the same rows are kept once.

    Raises:
        StorageFull: the disk is full; no incomplete file is left.
        DataUnavailable: the folder cannot be reached.
    """
    rows = found.refused_rows
    is_text = all(pa.types.is_string(column.type) for column in rows.columns)
    content = _write_csv(rows, delimiter) if is_text else _write_parquet(rows)
    name = hashlib.sha256(content).hexdigest()
    path = folder / f"{name}{'.csv' if is_text else '.parquet'}"
    record = {"source": source, "refused": [asdict(cell) for cell in found.refused]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reasons = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        with draft_file(folder / f"{name}.json") as draft:
            draft.write_bytes(reasons.encode("utf-8", "replace"))
        with draft_file(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise explain_os_error(error, f"refused rows {path}") from error
    return path


def _write_csv(rows: pa.Table, delimiter: str) -> bytes:
    sink = io.BytesIO(BYTE_ORDER_MARK)
    sink.seek(0, os.SEEK_END)
    csv.write_csv(rows, sink, csv.WriteOptions(delimiter=delimiter))
    return sink.getvalue()


def _write_parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(rows, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content

"""Reading the calls of a prompt from the traffic log, for monitoring."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.adapters.traffic.live import (
    REQUEST,
    read_seconds,
    scan_feedback,
    scan_records,
    within,
)
from sluice.home import Home
from sluice.monitoring.prompts import CallColumns, CallHistory

COLUMNS = ["at", "version", "guardrail", "hits", "latency_ms", "failed", "reason"]
CALL_COLUMNS = ["input_tokens", "output_tokens", "first_byte_ms"]
SAMPLED = ["at", REQUEST, "version", "failed", "reason", "inputs", "outputs"]


@dataclass(frozen=True)
class LoggedCall:
    """A call of a prompt as it was logged: its texts, masked as the guardrails left them."""

    request_id: str
    at: float
    """Seconds since 1970."""
    version: int
    """The version that answered."""
    inputs: str
    """What was asked, as JSON."""
    outputs: str
    """What was answered, as JSON."""


def read_calls(home: Home, service: str, since: datetime, until: datetime) -> CallHistory:
    """Return the counts of a prompt's calls and ratings from `since` to `until`.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    history, wanted = CallHistory(), within(since, until)
    for rows in scan_records(home.answers(service), [*COLUMNS, *CALL_COLUMNS], wanted):
        history.add_calls(_read_columns(rows))
    for found in scan_feedback(home, service, wanted):
        rated = found.filter(found["rating"].is_valid())
        if len(rated):
            at = read_seconds(rated["at"].combine_chunks())
            history.add_ratings(at, rated[REQUEST].to_pylist(), _read_numbers(rated, "rating"))
    return history


def sample_calls(
    home: Home, service: str, since: datetime, until: datetime, share: float, most: int
) -> list[LoggedCall]:
    """Return a share of the whole answers from `since` to `until`, the newest `most` at most.

    Whether a request is in the sample follows from its id alone: it is the same for everyone.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    found: list[LoggedCall] = []
    if not most:
        return found
    for rows in scan_records(home.answers(service), SAMPLED, within(since, until)):
        moments = read_seconds(rows["at"]).tolist()
        for at, row in zip(moments, rows.to_pylist(), strict=True):
            is_whole = not row["failed"] and not row["reason"] and row["outputs"]
            if is_whole and find_place(row[REQUEST]) < share:
                version, inputs, outputs = row["version"], row["inputs"], row["outputs"]
                found.append(LoggedCall(row[REQUEST], at, version, inputs, outputs))
        found = sorted(found, key=attrgetter("at"))[-most:]
    return found


def find_place(request_id: str) -> float:
    """Return the place of a request in [0, 1), by the sha256 of its id."""
    return int(sha256(request_id.encode()).hexdigest()[:13], 16) / 16**13


def _read_columns(rows: pa.RecordBatch) -> CallColumns:
    latency, failed = _read_numbers(rows, "latency_ms"), _read_flags(rows, "failed")
    hits = (
        np.asarray(rows["hits"].is_valid())
        if "hits" in rows.schema.names
        else np.zeros(len(rows), bool)
    )
    has_reason = np.asarray([bool(reason) for reason in rows["reason"].to_pylist()])
    return CallColumns(
        at=read_seconds(rows["at"]),
        version=_read_numbers(rows, "version"),
        has_hit=hits | _read_flags(rows, "guardrail"),
        tokens=_read_numbers(rows, "input_tokens") + _read_numbers(rows, "output_tokens"),
        first_token_ms=_read_numbers(rows, "first_byte_ms"),
        response_ms=latency,
        is_whole=~failed & ~has_reason & (latency > 0),
    )


def _read_numbers(rows: Any, name: str) -> Any:
    """Return a column as numbers, NaN where a row or the table has none."""
    if name not in rows.schema.names:
        return np.full(len(rows), np.nan)
    column = rows[name]
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _read_flags(rows: pa.RecordBatch, name: str) -> Any:
    return np.asarray(rows[name].fill_null(False))

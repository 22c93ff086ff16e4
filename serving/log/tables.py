"""The tables of the traffic log: which record goes to which table, and as what row.

Only the log-writer imports this: a worker needs neither pyarrow nor Delta.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

from serving.log.records import Answer, Feedback, Record, Shadow
from sluice.adapters.traffic.log import HOUR, LATER_ANSWERS, LATER_SHADOWS
from sluice.data.retention import format_hour

TEXT, NUMBER, WHOLE, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
TIME = pa.timestamp("us", tz="UTC")


class Kind(StrEnum):
    """The kinds of traffic-log tables."""

    ANSWERS = "answers"
    SHADOWS = "shadows"
    FEEDBACK = "feedback"


class Logged(NamedTuple):
    """A record and its source: the worker run, and where the record ends in that run's spool."""

    record: Record
    source: str
    position: int


COLUMNS = {
    Kind.ANSWERS: {
        "at": TIME,
        "request_id": TEXT,
        "unit": TEXT,
        "version": WHOLE,
        "arm": TEXT,
        "arm_version": WHOLE,
        "place": NUMBER,
        "epoch": WHOLE,
        "latency_ms": NUMBER,
        "failed": FLAG,
        "reason": TEXT,
        "fallback": FLAG,
        "inputs": TEXT,
        "outputs": TEXT,
        "guardrail": FLAG,
        "cost": NUMBER,
        **LATER_ANSWERS,
    },
    Kind.SHADOWS: {
        "at": TIME,
        "request_id": TEXT,
        "version": WHOLE,
        "epoch": WHOLE,
        "latency_ms": NUMBER,
        "failed": FLAG,
        "reason": TEXT,
        "differs": FLAG,
        "outputs": TEXT,
        "guardrail": FLAG,
        "cost": NUMBER,
        **LATER_SHADOWS,
    },
    Kind.FEEDBACK: {
        "at": TIME,
        "request_id": TEXT,
        "label": TEXT,
        "rating": NUMBER,
        "value": NUMBER,
        "service": TEXT,
        "arm": TEXT,
        "version": WHOLE,
        "epoch": WHOLE,
    },
}
"""Columns of each kind, besides the source and position (together unique) and hour of a record."""


def find_table(record: Record) -> tuple[Kind, str]:
    """Return the kind of table that a record belongs to, and its service (feedback: none)."""
    if isinstance(record, Answer):
        return Kind.ANSWERS, record.service
    if isinstance(record, Shadow):
        return Kind.SHADOWS, record.service
    return Kind.FEEDBACK, ""


def build_rows(kind: Kind, logged: Sequence[Logged]) -> pa.Table:
    """Return records of one kind as table rows."""
    columns = {
        name: pa.array([_read_cell(item.record, name) for item in logged], cell_type)
        for name, cell_type in COLUMNS[kind].items()
    }
    sources = {
        "source": pa.array([item.source for item in logged], TEXT),
        "position": pa.array([item.position for item in logged], WHOLE),
        HOUR: pa.array([format_hour(item.record.at) for item in logged], TEXT),
    }
    return pa.table({**columns, **sources})


def _read_cell(record: Record, name: str) -> Any:
    value = getattr(record, name)
    if name == "at":
        return round(1e6 * value)
    if isinstance(value, tuple):
        return ",".join(value) or None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(record, Feedback) and not record.version and name in ("arm", "version", "epoch"):
        return None  # nothing is known of an answer that was not remembered
    return value

"""Records as rows of the tables that the traffic log is made of."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

from serving.record import Answer, Feedback, Record, Shadow
from sluice.adapters.tables.traffic import HOUR, format_hour

TEXT, NUMBER, WHOLE, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
TIME = pa.timestamp("us", tz="UTC")


class Kind(StrEnum):
    """The kinds of tables."""

    ANSWERS = "answers"
    SHADOWS = "shadows"
    FEEDBACK = "feedback"


class Logged(NamedTuple):
    """A record with where it stood: the life's name, and its end in that life's log."""

    record: Record
    source: str
    position: int


PLACE = {"source": TEXT, "position": WHOLE, HOUR: TEXT}
"""Columns of all tables: where the record stood (together unique), and its hour."""
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


def find_table(record: Record) -> tuple[Kind, str]:
    """Give the kind of table that a record goes to, and the service that has one of its own."""
    if isinstance(record, Answer):
        return Kind.ANSWERS, record.service
    if isinstance(record, Shadow):
        return Kind.SHADOWS, record.service
    return Kind.FEEDBACK, ""


def build_rows(kind: Kind, logged: Sequence[Logged]) -> pa.Table:
    """Give records of one kind as a table."""
    columns = {
        name: pa.array([_read_cell(item.record, name) for item in logged], of)
        for name, of in COLUMNS[kind].items()
    }
    places = {
        "source": pa.array([item.source for item in logged], TEXT),
        "position": pa.array([item.position for item in logged], WHOLE),
        HOUR: pa.array([format_hour(item.record.at) for item in logged], TEXT),
    }
    return pa.table({**columns, **places})


def _read_cell(record: Record, name: str) -> Any:
    value = getattr(record, name)
    if name == "at":
        return round(1e6 * value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(record, Feedback) and not record.service and name in ("arm", "version", "epoch"):
        return None  # not remembered: nothing is known of its answer
    return value

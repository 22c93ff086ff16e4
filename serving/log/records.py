"""What the gateway logs: answers, shadow calls and feedback; and the table rows made of them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from sluice.adapters.tables.traffic import HOUR, format_hour


class AssignedArm(StrEnum):
    """The arm that a request was assigned to, whoever answered it in the end."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    NONE = "none"
    """While no candidate could be given any: breaker open, lease lapsed, rollout frozen."""


class Answer(msgspec.Struct, array_like=True, frozen=True, tag="answer"):
    """One answered request; a request that was refused for what it asked is none."""

    request_id: str
    unit: str
    """Hash of the user or session, never the name itself."""
    service: str
    arm: AssignedArm
    arm_version: int
    """Version of the assigned arm."""
    version: int
    """Version that answered: the champion's where it is a fallback."""
    place: float
    """The unit's place in [0, 1); the candidate's while it is below the weight."""
    epoch: int
    at: float
    """Seconds since 1970, UTC."""
    latency_ms: float
    """The assigned arm's own time, without fallback; 0 where it failed."""
    failed: bool = False
    """Whether the assigned arm failed."""
    reason: str = ""
    """Why it failed: one of a few words, never data."""
    fallback: bool = False
    """Whether the champion answered in the candidate's place."""
    inputs: bytes = b""
    """The records as JSON."""
    outputs: bytes = b""
    """The predictions as JSON."""
    guardrail: bool = False
    cost: float | None = None
    """What the answer cost; None where nothing is priced."""
    cost_cap: float = 0.0
    """Cost that counts as 1; 0 while no policy has fixed it, and then no cost is judged."""
    stages: tuple[float, ...] = ()
    """In shadow, the weights of the stages to come: the arm-to-be is counted at each."""


class Shadow(msgspec.Struct, array_like=True, frozen=True, tag="shadow"):
    """What the candidate did with a request that the champion answered; it comes later."""

    request_id: str
    service: str
    version: int
    """The candidate's version."""
    epoch: int
    at: float
    latency_ms: float
    failed: bool = False
    reason: str = ""
    differs: bool | None = None
    """Whether its answer is another than the champion's; None where one of them failed."""
    outputs: bytes = b""
    guardrail: bool = False
    cost: float | None = None
    cost_cap: float = 0.0


class Feedback(msgspec.Struct, array_like=True, frozen=True, tag="feedback"):
    """What became of an answer, as a caller told it; fields that were not given are None."""

    request_id: str
    at: float
    """When it arrived."""
    label: str | None = None
    """The true outcome as JSON."""
    rating: float | None = None
    """From -1 to 1; below 0 is negative."""
    value: float | None = None
    """The business metric, in its own unit."""
    value_cap: float = 0.0
    """Value that counts as 1; 0 while no policy has fixed it, and then no value is judged."""
    service: str = ""
    """The answer's service; empty where this replica does not remember the answer."""
    arm: AssignedArm = AssignedArm.NONE
    version: int = 0
    """Version of the answer's assigned arm."""
    epoch: int = 0
    rates: bool = False
    """Whether the live counters take the rating: the first one of a remembered answer."""
    values: bool = False
    """Whether the live counters take the value."""


Record = Answer | Shadow | Feedback

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
encode_record = _ENCODER.encode
"""Give a record as bytes."""


def decode_record(content: bytes) -> Record:
    """Give the record that was encoded."""
    return _DECODER.decode(content)


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

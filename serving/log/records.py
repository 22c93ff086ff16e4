"""The records that the gateway logs: answers, shadow calls and feedback.

A record is an array of its fields in their order. A new field goes to the end with a default:
spools that were written before lack it, and spools that are written later may have more.
"""

import re
from enum import StrEnum

import msgspec


class AssignedArm(StrEnum):
    """The arm that a request was assigned to, whichever version answered it."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    NONE = "none"
    """While no candidate may get requests: breaker open, lease lapsed, rollout frozen."""


class Answer(msgspec.Struct, array_like=True, frozen=True, tag="answer"):
    """One answered request; a request that was refused as invalid is not logged."""

    request_id: str
    unit: str
    """Hash of the user or session, never the value itself."""
    service: str
    arm: AssignedArm
    arm_version: int
    """Version of the assigned arm."""
    version: int
    """Version that answered; the champion's where it is a fallback."""
    place: float
    """The unit's place in [0, 1); below the weight it belongs to the candidate."""
    epoch: int
    at: float
    """Seconds since 1970, UTC."""
    latency_ms: float
    """The assigned arm's own time, without fallback; 0 where it failed."""
    failed: bool = False
    """Whether the assigned arm failed."""
    reason: str = ""
    """Why it failed, in one of a few words, never data."""
    fallback: bool = False
    """Whether the champion answered in the candidate's place."""
    inputs: bytes = b""
    """The records as JSON."""
    outputs: bytes = b""
    """The predictions as JSON."""
    guardrail: bool = False
    """Whether a guardrail found something in the assigned arm's answer."""
    cost: float | None = None
    """What the answer cost; None where nothing is priced."""
    cost_cap: float = 0.0
    """Cost that counts as 1; 0 while no policy sets it: then cost is not evaluated."""
    stages: tuple[float, ...] = ()
    """In shadow, the weights of the coming stages: the unit's arm at each is counted."""
    trace_id: str | None = None
    """The caller's W3C trace, 32 hexadecimal digits; None where it sent none."""
    experiment: str | None = None
    """The experiment that the request takes part in."""
    experiment_arm: str | None = None
    """Its arm in that experiment."""
    input_tokens: int | None = None
    """Tokens of the prompt, those of a cache included; None where the model counts none."""
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    """Tokens of the prompt that the provider read from its cache."""
    cache_write_tokens: int | None = None
    """Tokens of the prompt that the provider wrote to its cache."""
    first_byte_ms: float | None = None
    """Time to the first byte of the assigned arm's answer; None where it is not streamed."""
    hits: tuple[str, ...] | None = None
    """What guardrails found, such as `output:email:mask`, never the text; None: nothing."""


class Shadow(msgspec.Struct, array_like=True, frozen=True, tag="shadow"):
    """The candidate's call with a copy of an answered request; logged after the answer."""

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
    """Whether its answer differs from the champion's; None where one of them failed."""
    outputs: bytes = b""
    guardrail: bool = False
    cost: float | None = None
    cost_cap: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    first_byte_ms: float | None = None


class Feedback(msgspec.Struct, array_like=True, frozen=True, tag="feedback"):
    """Feedback of a caller on an answer; fields that were not sent are None."""

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
    """Value that counts as 1; 0 while no policy sets it: then value is not evaluated."""
    service: str = ""
    """The service that it is about; empty where neither caller, key nor replica says which."""
    arm: AssignedArm = AssignedArm.NONE
    version: int = 0
    """Version of the answer's assigned arm; 0 where this replica does not remember the answer."""
    epoch: int = 0
    counts_rating: bool = False
    """Whether the live counters count the rating: the first one of a remembered answer."""
    counts_value: bool = False
    """Whether the live counters count the value."""


Record = Answer | Shadow | Feedback

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
encode_record = _ENCODER.encode
"""Encode a record as bytes."""


RECORD_TAG = re.compile(
    rb"(?:\xa6answer|\xa6shadow|\xa8feedback)"
    rb"(?:([\xa0-\xbf])|\xd9(.))?",  # the length of its request id
    re.DOTALL,
)
"""The tag of an encoded record, near its beginning."""
BEFORE_TAG = (1, 3)
"""How many bytes a record may have before its tag: the length of its array."""


def decode_record(content: bytes) -> Record:
    """Return the record that was encoded."""
    return _DECODER.decode(content)


def name_record(data: bytes, tag: re.Match[bytes]) -> str:
    """Return the request id of a damaged record, as far as it can be read."""
    length = tag[1][0] & 0x1F if tag[1] else tag[2][0] if tag[2] else 0
    return data[tag.end() : tag.end() + length].decode(errors="replace")

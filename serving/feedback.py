"""Feedback on an answer, by its request id: what is taken, and what it counts for.

Whatever is well-formed is taken and logged, since a label may come months after its answer:

| what is told | taken | live counters | later, joined with the log |
|---|---|---|---|
| about an answer that this replica remembers | yes | its arm, version and epoch | counts |
| about one that it forgot, or that another replica gave | yes | nothing | counts |
| about an id that nobody answered | yes | nothing | matches nothing, and is dropped |
| the same twice | yes | once | once |
| the contrary of what was told | yes | the first word stays | the last word of each field counts |
| a part that was left out before | yes | that part | the last word of each field |
| after the answer left the log | yes | nothing | matches nothing, and is dropped |

Rating and value are two parts: each counts once. A label has no live counter.
"""

from collections.abc import Callable
from math import isfinite
from typing import Annotated

import msgspec

from serving.answered import RATED, VALUED, Answered
from serving.record import AssignedArm, Feedback
from sluice.errors import FeedbackInvalid

RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Rating = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Label = Annotated[str, msgspec.Meta(max_length=1000)] | int | float | bool


class Opinion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call: a request id, and at least one of label, rating and value."""

    request_id: RequestId
    label: Label | None = None
    rating: Rating | None = None
    value: float | None = None


_DECODER = msgspec.json.Decoder(Opinion)


def decode_opinion(body: bytes) -> Opinion:
    """Read the body of a call.

    Raises:
        FeedbackInvalid: it is no JSON, has an unknown field, or a value that is not allowed.
    """
    try:
        opinion = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FeedbackInvalid(f"feedback: {error}") from error
    numbers = (opinion.rating, opinion.value, opinion.label)
    if any(isinstance(number, float) and not isfinite(number) for number in numbers):
        raise FeedbackInvalid("feedback: found a number that is not finite; allowed: finite ones")
    if opinion.label is None and opinion.rating is None and opinion.value is None:
        raise FeedbackInvalid("feedback: nothing is told; allowed: label, rating or value, or more")
    return opinion


def attribute(
    opinion: Opinion, at: float, find_cap: Callable[[str], float], answered: Answered
) -> Feedback:
    """Give the record of what was told, with the answer's arm and what counts of it."""
    label = None if opinion.label is None else msgspec.json.encode(opinion.label).decode()
    told = Feedback(opinion.request_id, at, label, opinion.rating, opinion.value)
    answer = answered.find(opinion.request_id)
    if answer is None:
        return told
    parts = RATED * (opinion.rating is not None) | VALUED * (opinion.value is not None)
    new = answered.claim(opinion.request_id, parts) if parts else 0
    return msgspec.structs.replace(
        told,
        service=answer.service,
        arm=answer.arm,
        version=answer.version,
        epoch=answer.epoch,
        value_cap=find_cap(answer.service),
        rates=bool(new & RATED) and answer.arm is not AssignedArm.NONE,
        values=bool(new & VALUED) and answer.arm is not AssignedArm.NONE,
    )

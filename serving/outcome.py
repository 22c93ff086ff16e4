"""What became of a request: the record that the log gets, and the reply that the caller gets."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from serving.arms import Assignment
from serving.lane import Call
from serving.lineup import Seat
from serving.prediction import encode_outputs
from serving.predictor import ModelPredictor
from serving.record import Answer, AssignedArm
from serving.reply import Reply, ask_again, explain
from serving.request import PredictRequest
from serving.signature import Record
from sluice.control.route import Route

PASSING = ("busy", "timeout")
"""Reasons of a champion's failure that may be gone in a moment: 503. Others are 500."""


class Asked(NamedTuple):
    """A request that was understood, with the arm that it belongs to."""

    seat: Seat
    route: Route
    champion: ModelPredictor
    request: PredictRequest
    records: Sequence[Record]
    is_many: bool
    request_id: str
    unit: str
    assignment: Assignment


class Outcome(NamedTuple):
    """How it went: the candidate's call where it was asked first, and the one that answers."""

    tried: Call | None
    last: Call

    @property
    def by_candidate(self) -> bool:
        """Whether the candidate's answer is the caller's."""
        return self.tried is self.last

    @property
    def is_fallback(self) -> bool:
        """Whether the champion answered in the candidate's place."""
        return self.tried is not None and self.tried.failed and not self.last.failed


class ReplyBody(msgspec.Struct, omit_defaults=True, gc=False):
    """The body of a prediction."""

    request_id: str
    service: str
    version: int
    arm: str
    form: str
    outputs: msgspec.Raw
    unit: str | None = None
    fallback: bool = False


_ENCODER = msgspec.json.Encoder()


def build_answer(asked: Asked, outcome: Outcome) -> Answer:
    """Give the record; latency and failure are the assigned arm's own, whoever answered.

    A probe of an open breaker is nobody's request: only what the champion did is told of it.
    """
    assignment, (tried, last) = asked.assignment, outcome
    is_candidate = assignment.arm is AssignedArm.CANDIDATE
    own = tried if is_candidate and tried is not None else last
    candidate, champion = asked.route.candidate or 0, asked.champion.version
    return Answer(
        request_id=asked.request_id,
        unit=asked.unit,
        service=asked.route.service,
        arm=assignment.arm,
        arm_version=candidate if is_candidate else champion,
        version=candidate if outcome.by_candidate else champion,
        place=assignment.place,
        epoch=asked.route.epoch,
        at=time.time(),
        latency_ms=own.latency_ms,
        failed=own.failed,
        reason=(tried or last).reason,
        fallback=outcome.is_fallback,
        inputs=bytes(asked.request.inputs),
        outputs=encode_outputs(last.predictions, asked.is_many) if last.predictions else b"",
        stages=assignment.stages,
    )


def build_reply(asked: Asked, outcome: Outcome, answer: Answer) -> Reply:
    """Give the answer that the caller gets; a failure of both arms is told as one."""
    last = outcome.last
    if last.failed:
        message = f"{answer.service} v{answer.version} could not answer: {last.reason}"
        if last.reason in PASSING:
            return ask_again(message, asked.request_id)
        return explain(500, message, asked.request_id)
    lane = asked.assignment.lane
    by = lane.predictor if lane is not None and outcome.by_candidate else asked.champion
    body = ReplyBody(
        asked.request_id,
        answer.service,
        answer.version,
        str(answer.arm),
        by.form,
        msgspec.Raw(answer.outputs),
        asked.request.unit,
        answer.fallback,
    )
    return Reply(200, _ENCODER.encode(body))

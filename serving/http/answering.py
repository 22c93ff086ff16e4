"""One request from its body to its logged answer: arm, call, fallback, record, reply."""

import time
from typing import NamedTuple

import msgspec

from serving.http.replies import Reply, ask_again, explain
from serving.http.requests import RequestIds, decode_request, refuse_duplicates
from serving.log.ledger import RequestLog
from serving.log.records import Answer, AssignedArm
from serving.models.signature import encode_outputs, is_many
from serving.routing.assignment import RequestContext, assign_request, hash_unit
from serving.routing.breaker import WorkerBreakers
from serving.routing.calls import Call, CandidatePool, ask_champion
from serving.routing.model_table import ServiceEntry
from serving.routing.shadow import ShadowCopy
from sluice.config.serving import LimitsConfig
from sluice.errors import SpoolFull

PASSING = ("busy", "timeout")
"""Reasons of a champion's failure that may be gone in a moment: 503. Others are 500."""


class CallOutcome(NamedTuple):
    """How it went: the candidate's call where it was context first, and the one that answers."""

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


def build_answer(context: RequestContext, outcome: CallOutcome) -> Answer:
    """Give the record; latency and failure are the assigned arm's own, whoever answered.

    A probe of an open breaker is nobody's request: only what the champion did is told of it.
    """
    assignment, (tried, last) = context.assignment, outcome
    is_candidate = assignment.arm is AssignedArm.CANDIDATE
    own = tried if is_candidate and tried is not None else last
    candidate, champion = context.route.candidate or 0, context.champion.version
    return Answer(
        request_id=context.request_id,
        unit=context.unit,
        service=context.route.service,
        arm=assignment.arm,
        arm_version=candidate if is_candidate else champion,
        version=candidate if outcome.by_candidate else champion,
        place=assignment.place,
        epoch=context.route.epoch,
        at=time.time(),
        latency_ms=own.latency_ms,
        failed=own.failed,
        reason=(tried or last).reason,
        fallback=outcome.is_fallback,
        inputs=bytes(context.inputs),
        outputs=encode_outputs(last.predictions, context.is_many) if last.predictions else b"",
        stages=assignment.stages,
    )


def build_reply(context: RequestContext, outcome: CallOutcome, answer: Answer) -> Reply:
    """Give the answer that the caller gets; a failure of both arms is told as one."""
    last = outcome.last
    if last.failed:
        message = f"{answer.service} v{answer.version} could not answer: {last.reason}"
        if last.reason in PASSING:
            return ask_again(message, context.request_id)
        return explain(500, message, context.request_id)
    lane = context.assignment.lane
    by = lane.predictor if lane is not None and outcome.by_candidate else context.champion
    body = ReplyBody(
        context.request_id,
        answer.service,
        answer.version,
        str(answer.arm),
        by.form,
        msgspec.Raw(answer.outputs),
        context.given_unit,
        answer.fallback,
    )
    return Reply(200, _ENCODER.encode(body))


FULL_SECONDS = 5


class RequestHandler:
    """What all requests of a worker share."""

    def __init__(self, ledger: RequestLog, circuits: WorkerBreakers, limits: LimitsConfig) -> None:
        self._ledger, self._circuits, self._limits = ledger, circuits, limits
        self._ids = RequestIds()

    async def answer(self, seat: ServiceEntry, body: bytes) -> tuple[Reply, ShadowCopy | None]:
        """Answer a request, and give what the candidate gets a copy of, if it gets one.

        The answer is in the log before it is given. A champion that fails is an honest 500, or
        503 where it is only busy or slow; both are logged, as failures of the assigned arm.

        Raises:
            RequestInvalid: the request is not one, or does not fit the champion's signature.
        """
        if seat.champion is None or seat.belief.route is None:
            return ask_again(f"{seat.service}: {seat.missing or 'its model is not here yet'}"), None
        context = self._read(seat, body)
        lane, shadow = context.assignment.lane, context.assignment.shadow
        tried = await self._ask_candidate(lane, context) if lane is not None else None
        last = await self._ask_champion(context) if tried is None or tried.failed else tried
        outcome = CallOutcome(tried, last)
        answer = build_answer(context, outcome)
        reply = build_reply(context, outcome, answer)
        try:
            await self._ledger.record(answer)
        except SpoolFull:
            return ask_again("the log has no room", context.request_id, FULL_SECONDS), None
        return reply, ShadowCopy(shadow, context, last.predictions) if shadow is not None else None

    def _read(self, seat: ServiceEntry, body: bytes) -> RequestContext:
        """Understand a request, and assign it."""
        champion, route = seat.champion, seat.belief.route
        if champion is None or route is None:
            raise ValueError(f"{seat.service} has no champion")
        request = decode_request(body)
        signature = champion.model.signature
        records = signature.decode(request.inputs)
        given = 1 + (request.request_id is not None) + (request.unit is not None)
        refuse_duplicates(body, given + len(records) * len(signature.columns))
        request_id = request.request_id or self._ids.take()
        unit = request.unit if route.assign_by == "unit" and request.unit else request_id
        key, now = hash_unit(unit), time.monotonic()
        assignment = assign_request(seat, route, key, self._circuits, now, self._ledger.is_low)
        return RequestContext(
            route,
            champion,
            records,
            is_many(request.inputs),
            request.inputs,
            request_id,
            key,
            request.unit,
            assignment,
        )

    async def _ask_candidate(self, lane: CandidatePool, context: RequestContext) -> Call:
        call = await lane.ask(context.records, context.inputs)
        if call.judged:
            service, version = context.route.service, lane.predictor.version
            is_probe, now = context.assignment.is_probe, time.monotonic()
            self._circuits.tell_candidate(service, version, call.failed, now, is_probe)
        return call

    async def _ask_champion(self, context: RequestContext) -> Call:
        champion = context.champion
        call = await ask_champion(champion, context.records, self._limits.champion_seconds)
        if call.judged:
            self._circuits.tell_champion(context.route.service, champion.version, call.failed)
        return call

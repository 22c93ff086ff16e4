"""One prediction request, from its body to its logged answer."""

import time
from functools import partial
from typing import NamedTuple

import msgspec

from serving.http.large_bodies import LARGE_BYTES, LargeBodies
from serving.http.replies import Reply, ask_again, explain
from serving.http.requests import PredictRequest, RequestIds, decode_request, refuse_duplicates
from serving.log.records import Answer
from serving.log.request_log import RequestLog
from serving.models.predictors import ModelPredictor
from serving.models.signature import Record, Signature, encode_outputs, is_many
from serving.routing.assignment import RequestContext, assign_request
from serving.routing.breaker import WorkerBreakers
from serving.routing.calls import Call, CandidatePool, ask_champion
from serving.routing.model_table import ModelEntry
from serving.routing.outcome import CallOutcome, describe_answer
from serving.routing.shadow import ShadowCopy
from sluice.config.serving import LimitsConfig
from sluice.control.route import Route
from sluice.errors import SpoolFull
from sluice.rollout.assignment import hash_unit

TRANSIENT = ("busy", "timeout")
"""Reasons of a champion's failure that may be over in a moment: 503. Others are 500."""
FULL_SECONDS = 5
"""When to retry a request that was refused because the log is full."""
_ENCODER = msgspec.json.Encoder()


class ReplyBody(msgspec.Struct, omit_defaults=True, gc=False):
    """The body of a reply with predictions."""

    request_id: str
    service: str
    version: int
    arm: str
    backend: str
    outputs: msgspec.Raw
    unit: str | None = None
    fallback: bool = False


def build_answer(context: RequestContext, outcome: CallOutcome[Call]) -> Answer:
    """Return the record of a request, with its inputs and predictions."""
    predictions = outcome.last.predictions
    outputs = encode_outputs(predictions, context.is_many) if predictions else b""
    return describe_answer(context, outcome, bytes(context.inputs), outputs)


def build_reply(context: RequestContext, outcome: CallOutcome[Call], answer: Answer) -> Reply:
    """Return the reply to a request; where both arms failed it has the champion's reason."""
    last = outcome.last
    if last.failed:
        message = f"{answer.service} v{answer.version} could not answer: {last.reason}"
        if last.reason in TRANSIENT:
            return ask_again(message, context.request_id)
        return explain(500, message, context.request_id)
    pool = context.assignment.pool
    by = pool.predictor if pool is not None and outcome.by_candidate else context.champion
    body = ReplyBody(
        context.request_id,
        answer.service,
        answer.version,
        str(answer.arm),
        by.backend_name,
        msgspec.Raw(answer.outputs),
        context.given_unit,
        answer.fallback,
    )
    return Reply(200, _ENCODER.encode(body))


class Decoded(NamedTuple):
    """A request's own fields, and its records."""

    request: PredictRequest
    records: list[Record]


def decode_body(signature: Signature, body: bytes) -> Decoded:
    """Return a body as a request to a model with this signature.

    Raises:
        RequestInvalid: it is none, has a field twice, or does not fit the signature.
    """
    request = decode_request(body)
    records = signature.decode(request.inputs)
    fields = 1 + (request.request_id is not None) + (request.unit is not None)
    refuse_duplicates(body, fields + len(records) * len(signature.columns))
    return Decoded(request, records)


class RequestHandler:
    """Answers a worker's prediction requests."""

    def __init__(
        self,
        request_log: RequestLog,
        breakers: WorkerBreakers,
        limits: LimitsConfig,
    ) -> None:
        self._request_log, self._breakers, self._limits = request_log, breakers, limits
        self.large_bodies = LargeBodies()
        self._ids = RequestIds()

    async def answer(
        self, entry: ModelEntry, body: bytes, trace_id: str | None = None
    ) -> tuple[Reply, ShadowCopy | None]:
        """Return the reply to a request, and the candidate's copy of it in shadow.

        `trace_id` is the trace that the request belongs to, if its caller named one. The answer is
        in the log before it is returned. A champion that fails is a 500, or a 503 where it is only
        busy or slow; both are logged as failures of the assigned arm.

        Raises:
            RequestInvalid: the body is not a request, or does not fit the champion's signature.
        """
        champion, route = entry.champion, entry.state.route
        if champion is None or route is None:
            message = f"{entry.service}: {entry.missing or 'its model is not loaded yet'}"
            return ask_again(message), None
        signature = champion.model.signature
        if len(body) > LARGE_BYTES:
            read = partial(decode_body, signature)
            decoded = await self.large_bodies.read(body, read)
        else:
            decoded = decode_body(signature, body)
        context = self._assign(entry, champion, route, decoded)
        if trace_id is not None:
            context = context._replace(trace_id=trace_id)
        pool, shadow = context.assignment.pool, context.assignment.shadow
        tried = await self._ask_candidate(pool, context) if pool is not None else None
        last = await self._ask_champion(context) if tried is None or tried.failed else tried
        outcome = CallOutcome(tried, last)
        answer = build_answer(context, outcome)
        reply = build_reply(context, outcome, answer)
        try:
            await self._request_log.record(answer)
        except SpoolFull:
            return ask_again("the log has no room", context.request_id, FULL_SECONDS), None
        return reply, ShadowCopy(shadow, context, last.predictions) if shadow is not None else None

    def _assign(
        self, entry: ModelEntry, champion: ModelPredictor, route: Route, decoded: Decoded
    ) -> RequestContext:
        """Assign a request to an arm."""
        request, records = decoded
        request_id = request.request_id or self._ids.take()
        given = request.unit if route.assign_by == "unit" and request.unit else request_id
        unit, now = hash_unit(given), time.monotonic()
        is_low = self._request_log.is_low
        assignment = assign_request(entry, route, unit, self._breakers, now, is_low)
        return RequestContext(
            route,
            champion,
            records,
            is_many(request.inputs),
            request.inputs,
            request_id,
            unit,
            request.unit,
            assignment,
        )

    async def _ask_candidate(self, pool: CandidatePool, context: RequestContext) -> Call:
        call = await pool.ask(context.records, context.inputs)
        if call.is_evidence:
            service, version = context.route.service, pool.predictor.version
            is_probe, now = context.assignment.is_probe, time.monotonic()
            self._breakers.observe_candidate(service, version, call.failed, now, is_probe)
        return call

    async def _ask_champion(self, context: RequestContext) -> Call:
        champion = context.champion
        call = await ask_champion(champion, context.records, self._limits.champion_seconds)
        if call.is_evidence:
            self._breakers.observe_champion(context.route.service, champion.version, call.failed)
        return call

"""One request from its body to its logged answer: arm, call, fallback, record, reply."""

import time
from secrets import token_hex

from serving.arms import assign_request, hash_unit
from serving.champion import ask_champion
from serving.circuits import Circuits
from serving.duplicates import refuse_duplicates
from serving.lane import Call, Lane
from serving.ledger import Ledger
from serving.lineup import Seat
from serving.outcome import Asked, Outcome, build_answer, build_reply
from serving.reply import Reply, ask_again
from serving.request import decode_request
from serving.shadowing import Copy
from serving.signature import is_many
from sluice.config.serving import LimitsConfig
from sluice.errors import SpoolFull

FULL_SECONDS = 5


class Answering:
    """What all requests of a worker share."""

    def __init__(self, ledger: Ledger, circuits: Circuits, limits: LimitsConfig) -> None:
        self._ledger, self._circuits, self._limits = ledger, circuits, limits

    async def answer(self, seat: Seat, body: bytes) -> tuple[Reply, Copy | None]:
        """Answer a request, and give what the candidate gets a copy of, if it gets one.

        The answer is in the log before it is given. A champion that fails is an honest 500, or
        503 where it is only busy or slow; both are logged, as failures of the assigned arm.

        Raises:
            RequestInvalid: the request is not one, or does not fit the champion's signature.
        """
        if seat.champion is None or seat.belief.route is None:
            return ask_again(f"{seat.service}: {seat.missing or 'its model is not here yet'}"), None
        asked = self._read(seat, body)
        lane, shadow = asked.assignment.lane, asked.assignment.shadow
        tried = await self._ask_candidate(lane, asked) if lane is not None else None
        last = await self._ask_champion(asked) if tried is None or tried.failed else tried
        outcome = Outcome(tried, last)
        answer = build_answer(asked, outcome)
        reply = build_reply(asked, outcome, answer)
        try:
            await self._ledger.record(answer)
        except SpoolFull:
            return ask_again("the log has no room", asked.request_id, FULL_SECONDS), None
        return reply, Copy(shadow, asked, last.predictions) if shadow is not None else None

    def _read(self, seat: Seat, body: bytes) -> Asked:
        """Understand a request, and assign it."""
        champion, route = seat.champion, seat.belief.route
        if champion is None or route is None:
            raise ValueError(f"{seat.service} has no champion")
        request = decode_request(body)
        signature = champion.model.signature
        records = signature.decode(request.inputs)
        given = 1 + (request.request_id is not None) + (request.unit is not None)
        refuse_duplicates(body, given + len(records) * len(signature.columns))
        request_id = request.request_id or token_hex(12)
        unit = request.unit if route.assign_by == "unit" and request.unit else request_id
        key, now = hash_unit(unit), time.monotonic()
        assignment = assign_request(seat, route, key, self._circuits, now, self._ledger.is_low)
        many = is_many(request.inputs)
        return Asked(seat, route, champion, request, records, many, request_id, key, assignment)

    async def _ask_candidate(self, lane: Lane, asked: Asked) -> Call:
        call = await lane.ask(asked.records, asked.request.inputs)
        if call.judged:
            service, version = asked.route.service, lane.predictor.version
            is_probe, now = asked.assignment.is_probe, time.monotonic()
            self._circuits.tell_candidate(service, version, call.failed, now, is_probe)
        return call

    async def _ask_champion(self, asked: Asked) -> Call:
        champion = asked.champion
        call = await ask_champion(champion, asked.records, self._limits.champion_seconds)
        if call.judged:
            self._circuits.tell_champion(asked.route.service, champion.version, call.failed)
        return call

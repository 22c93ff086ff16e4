"""Shadow mode: a candidate gets copies of answered requests; no caller waits for them."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from serving.log.records import Shadow
from serving.log.request_log import RequestLog
from serving.models.signature import Prediction, encode_outputs
from serving.routing.assignment import RequestContext
from serving.routing.breaker import WorkerBreakers
from serving.routing.calls import Bulkhead, Call, CandidatePool
from sluice.rollout.measures import agree


class CopiedRequest(Protocol):
    """A copy of an answered request for the candidate, of a model or a prompt."""

    @property
    def pool(self) -> Bulkhead:
        """The candidate's slots."""

    @property
    def is_probe(self) -> bool:
        """Whether it tests a candidate whose breaker is open; then it is not logged."""

    async def ask(self) -> tuple[Shadow, bool]:
        """Ask the candidate; return the record, and whether it says something about it."""


class ShadowCopy(NamedTuple):
    """A request for the candidate, with the champion's answers; None where the champion failed."""

    pool: CandidatePool
    context: RequestContext
    answers: Sequence[Prediction] | None

    @property
    def is_probe(self) -> bool:
        """Whether it tests a candidate whose breaker is open; then it is not logged."""
        return self.context.assignment.is_probe

    async def ask(self) -> tuple[Shadow, bool]:
        """Ask the candidate; return the record, and whether it says something about it."""
        call = await self.pool.ask(self.context.records, self.context.inputs)
        return _describe(self, call), call.is_evidence


class ShadowCalls:
    """One worker's shadow calls that are running, as many as the route allows the candidate.

    A request beyond that has no copy and counts nowhere: the candidate was not called. `dropped` is
    the number of such requests.
    """

    def __init__(self, request_log: RequestLog, breakers: WorkerBreakers) -> None:
        self._request_log, self._breakers = request_log, breakers
        self._running: Counter[Bulkhead] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def start(self, copy: CopiedRequest) -> None:
        """Start the candidate's call, after the caller's answer was sent."""
        if self._running[copy.pool] >= copy.pool.size:
            self.dropped += 1
            return
        self._running[copy.pool] += 1
        task = asyncio.get_running_loop().create_task(self._ask(copy))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel the calls that are running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, copy: CopiedRequest) -> None:
        pool = copy.pool
        try:
            record, is_evidence = await copy.ask()
        finally:
            self._running[pool] -= 1
            if not self._running[pool]:
                del self._running[pool]
        if not is_evidence:
            self.dropped += 1
            return
        self._breakers.observe_candidate(
            record.service, record.version, record.failed, time.monotonic(), copy.is_probe
        )
        if not copy.is_probe:
            self._request_log.record_shadow(record)


def _describe(copy: ShadowCopy, call: Call) -> Shadow:
    context, champion = copy.context, copy.answers
    both = champion is not None and call.predictions is not None
    return Shadow(
        request_id=context.request_id,
        service=context.route.service,
        version=copy.pool.predictor.version,
        epoch=context.route.epoch,
        at=time.time(),
        latency_ms=call.latency_ms,
        failed=call.failed,
        reason=call.reason,
        differs=differ(champion or (), call.predictions or (), context.route.tolerance)
        if both
        else None,
        outputs=encode_outputs(call.predictions, context.is_many) if call.predictions else b"",
    )


def differ(
    champion: Sequence[Prediction], candidate: Sequence[Prediction], tolerance: float
) -> bool:
    """Whether any class differs, or any number by more than the tolerance."""
    pairs = zip(champion, candidate, strict=True)
    return not all(agree(one.prediction, other.prediction, tolerance) for one, other in pairs)

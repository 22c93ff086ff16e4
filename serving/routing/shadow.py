"""Copies of answered requests for a candidate in shadow: off the caller's path, and bounded."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from serving.log.ledger import RequestLog
from serving.log.records import Shadow
from serving.models.signature import Prediction, encode_outputs
from serving.routing.assignment import RequestContext
from serving.routing.breaker import WorkerBreakers
from serving.routing.calls import Call, CandidatePool
from sluice.rollout.measures import agree


class ShadowCopy(NamedTuple):
    """A request for the candidate, with what the champion said; None where it failed."""

    lane: CandidatePool
    context: RequestContext
    said: Sequence[Prediction] | None


class ShadowCalls:
    """One worker's copies that are at work.

    As many are at work as the route lets the candidate have. A request that comes then has no
    copy, and counts in nothing: the candidate was never context. `dropped` says how many.
    """

    def __init__(self, ledger: RequestLog, circuits: WorkerBreakers) -> None:
        self._ledger, self._circuits = ledger, circuits
        self._at_work: Counter[CandidatePool] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def start(self, copy: ShadowCopy) -> None:
        """Have the candidate asked, after the answer was sent."""
        if self._at_work[copy.lane] >= copy.lane.most:
            self.dropped += 1
            return
        self._at_work[copy.lane] += 1
        task = asyncio.get_running_loop().create_task(self._ask(copy))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is at work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, copy: ShadowCopy) -> None:
        lane, context = copy.lane, copy.context
        try:
            call = await lane.ask(context.records, context.inputs)
        finally:
            self._at_work[lane] -= 1
            if not self._at_work[lane]:
                del self._at_work[lane]
        if not call.judged:
            self.dropped += 1
            return
        service, is_probe = context.route.service, context.assignment.is_probe
        self._circuits.tell_candidate(
            service, lane.predictor.version, call.failed, time.monotonic(), is_probe
        )
        if not is_probe:
            self._ledger.shadow(_describe(copy, call))


def _describe(copy: ShadowCopy, call: Call) -> Shadow:
    context, said = copy.context, copy.said
    both = said is not None and call.predictions is not None
    return Shadow(
        request_id=context.request_id,
        service=context.route.service,
        version=copy.lane.predictor.version,
        epoch=context.route.epoch,
        at=time.time(),
        latency_ms=call.latency_ms,
        failed=call.failed,
        reason=call.reason,
        differs=differ(said or (), call.predictions or (), context.route.tolerance)
        if both
        else None,
        outputs=encode_outputs(call.predictions, context.is_many) if call.predictions else b"",
    )


def differ(said: Sequence[Prediction], found: Sequence[Prediction], tolerance: float) -> bool:
    """Whether a class is another one, or a number is further away than the tolerance."""
    pairs = zip(said, found, strict=True)
    return not all(agree(one.prediction, other.prediction, tolerance) for one, other in pairs)

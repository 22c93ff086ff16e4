"""Calls to a champion's or a candidate's model, each within its time limit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import msgspec

from serving.models.predictors import ModelPredictor
from serving.models.signature import Prediction, Record
from sluice.errors import AnswerInvalid, ArmBusy, RequestInvalid

SLICES = 8
"""Parts of a time limit; each counts only when the event loop has come round to it."""
QUEUE_SHARE = 0.25
"""Share of the time limit that a request waits for a free slot: a burst passes, a hang does not."""
RUNNING_SHARE = 0.5
"""Share of the time limit that a call must have run to be the cause of a timeout."""
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (ArmBusy, "busy"),
    (AnswerInvalid, "invalid"),
    (RequestInvalid, "signature"),
)


class LiveTimeout:
    """`asyncio.timeout` by a clock that runs only while the event loop runs.

    A process that gets no processor stands still for seconds. By the wall clock all calls of that
    moment would be too slow, although no model had a chance to answer: an arm with a time limit
    would fail where an arm without one does not. Here a standstill costs a call one slice at most,
    and an answer that has arrived by the last slice is taken.
    """

    def __init__(self, seconds: float) -> None:
        """Limit the block to so many seconds of a running event loop."""
        self._slice, self._left = seconds / SLICES, SLICES
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time limit was reached; else a `TimeoutError` came from inside the block."""
        return self._timeout.expired()

    async def __aenter__(self) -> "LiveTimeout":
        """Start the clock."""
        await self._timeout.__aenter__()
        self._wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the clock.

        Raises:
            TimeoutError: the time limit was reached.
        """
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._slice, self._count)

    def _count(self) -> None:
        self._left -= 1
        if self._left:
            self._wait()
        else:  # an answer that came in this iteration of the loop goes first
            self._timeout.reschedule(asyncio.get_running_loop().time())


@dataclass(frozen=True)
class Call:
    """The result of a call to an arm; without `predictions` it failed, and `reason` says why.

    `is_evidence` is False where the model was never called: that says nothing about the model.
    """

    predictions: Sequence[Prediction] | None
    latency_ms: float = 0.0
    reason: str = ""
    is_evidence: bool = True

    @property
    def failed(self) -> bool:
        """Whether the arm returned no answer."""
        return self.predictions is None


def explain_failure(error: Exception) -> Call:
    """Return the failed call that an error means; its reason is one word, never data."""
    reason = next((word for kind, word in REASONS if isinstance(error, kind)), "error")
    return Call(None, reason=reason, is_evidence=not isinstance(error, ArmBusy))


class Bulkhead:
    """One worker's slots for a candidate: at most `size` calls, each within a time limit."""

    def __init__(self, size: int, timeout_ms: float) -> None:
        self.size = size
        self.limits: tuple[float, ...] = (size, timeout_ms)
        self._seconds = timeout_ms / 1000
        self._slots = asyncio.Semaphore(size)

    async def _enter(self) -> None:
        """Take a slot; it waits for one only a share of the time limit.

        Raises:
            ArmBusy: all slots are taken.
        """
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with LiveTimeout(QUEUE_SHARE * self._seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise ArmBusy("all slots are taken") from error


class CandidatePool(Bulkhead):
    """The bulkhead around a candidate's model, which never answers on the event loop.

    `shares_records`: the candidate takes the same decoded records as the champion.
    """

    def __init__(
        self, predictor: ModelPredictor, size: int, timeout_ms: float, shares_records: bool
    ) -> None:
        super().__init__(size, timeout_ms)
        self.predictor = predictor
        self.limits = (size, timeout_ms, shares_records)
        self._shares_records = shares_records

    async def ask(self, records: Sequence[Record], inputs: msgspec.Raw) -> Call:
        """Ask the candidate for predictions; every error comes back as a failed call.

        Where all slots are taken a request waits a moment and is then refused: `busy`. It counts as
        a failure of the candidate, because requests are compared by assigned arm, and those that
        came while it was slow must not drop out of the comparison. The breaker does not count it:
        the model was not called, and the calls that hold the slots will be counted. The same holds
        where the time limit was reached while the model was running nothing for long: the request
        waited for a thread that got no processor. Inputs that the champion accepts and the
        candidate does not are a failure of the candidate: `signature`.
        """
        limit = LiveTimeout(self._seconds)
        try:
            async with limit:
                if not self._shares_records:
                    records = self.predictor.model.signature.decode(inputs)
                await self._enter()
                try:
                    predictions, seconds = await self.predictor.predict_timed(records)
                    return Call(predictions, 1000 * seconds)
                finally:
                    self._slots.release()
        except Exception as error:  # a bug of the candidate is its failure, too
            if limit.is_over and self.predictor.running_seconds < RUNNING_SHARE * self._seconds:
                return explain_failure(ArmBusy("the model's thread got no processor"))
            return explain_failure(error)


async def ask_champion(champion: ModelPredictor, records: Sequence[Record], seconds: float) -> Call:
    """Ask the champion for predictions; every error comes back as a failed call."""
    try:
        if champion.is_inline(len(records)):
            predictions, took = await champion.predict_timed(records)
        else:
            async with LiveTimeout(seconds):
                predictions, took = await champion.predict_timed(records)
    except Exception as error:  # whatever a model raises, the caller gets a whole reply
        return explain_failure(error)
    return Call(predictions, 1000 * took)

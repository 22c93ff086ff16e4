"""Calls of a champion and of a candidate, each within its time limit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import msgspec

from serving.models.predictors import ModelPredictor
from serving.models.signature import Prediction, Record
from sluice.errors import AnswerInvalid, ArmBusy, RequestInvalid

SLICES = 8
"""Parts of a limit; each is counted only once the event loop has come round to it."""


class LiveTimeout:
    """`asyncio.timeout` by a clock that goes on only while the event loop turns.

    A machine that is starved stands still for seconds. By the wall clock all calls of that moment
    would have taken too long, although nobody had a chance to answer: an arm that has a limit would
    be blamed for what an arm without one is not. Here a standstill costs a call one slice at most,
    and an answer that is there by the last turn is taken.
    """

    def __init__(self, seconds: float) -> None:
        """Limit what follows to so many seconds of a loop that turns."""
        self._slice, self._left = seconds / SLICES, SLICES
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time was over; a `TimeoutError` without it came from inside."""
        return self._timeout.expired()

    async def __aenter__(self) -> "LiveTimeout":
        """Let the time begin."""
        await self._timeout.__aenter__()
        self._wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it.

        Raises:
            TimeoutError: the time was over first.
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
        else:  # what came in this turn of the loop goes first
            self._timeout.reschedule(asyncio.get_running_loop().time())


PATIENCE = 0.25
"""Share of the time limit that a request waits for a place: a burst passes, a hang does not."""
AT_WORK = 0.5
"""Share of the time limit that a call must have been at work to be what a request waited for."""


@dataclass(frozen=True)
class Call:
    """How a call of an arm went; without `predictions` it failed, and `reason` says why.

    `judged` is False where the model was never asked: that tells nothing about it.
    """

    predictions: Sequence[Prediction] | None
    latency_ms: float = 0.0
    reason: str = ""
    judged: bool = True

    @property
    def failed(self) -> bool:
        """Whether the arm gave no answer."""
        return self.predictions is None


REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (ArmBusy, "busy"),
    (AnswerInvalid, "invalid"),
    (RequestInvalid, "signature"),
)


def explain_failure(error: Exception) -> Call:
    """Give the failed call that an error means; its reason is one word, never data."""
    reason = next((word for kind, word in REASONS if isinstance(error, kind)), "error")
    return Call(None, reason=reason, judged=not isinstance(error, ArmBusy))


class CandidatePool:
    """One worker's way to a candidate, always off the event loop.

    `shares`: the candidate takes the very records that were read for the champion.
    """

    def __init__(
        self, predictor: ModelPredictor, most: int, timeout_ms: float, shares: bool
    ) -> None:
        self.predictor = predictor
        self.most = most
        self.limits = (most, timeout_ms, shares)
        self._seconds, self._shares = timeout_ms / 1000, shares
        self._places = asyncio.Semaphore(most)

    async def ask(self, records: Sequence[Record], inputs: msgspec.Raw) -> Call:
        """Ask the candidate; whatever goes wrong comes back as a failed call.

        Where all places are taken a request waits a moment, and then is turned away: `busy`. It
        counts as the candidate's failure, for requests are compared by assigned arm, and those
        that came while it was slow must not drop out of the comparison. The breaker is not told:
        nobody asked the model, and those that hold the places will tell it. So it is where the
        time was over while the model was at work on nothing for long: the request waited for its
        thread, which a starved machine did not let run. Inputs that the champion takes and the
        candidate does not are a failure of the candidate: `signature`.
        """
        limit = LiveTimeout(self._seconds)
        try:
            async with limit:
                if not self._shares:
                    records = self.predictor.model.signature.decode(inputs)
                if not await self._enter(PATIENCE * self._seconds):
                    raise ArmBusy("all places are taken")
                try:
                    predictions, seconds = await self.predictor.predict_timed(records)
                    return Call(predictions, 1000 * seconds)
                finally:
                    self._places.release()
        except Exception as error:  # a candidate's own bug, too, is its failure
            if limit.is_over and self.predictor.running_seconds < AT_WORK * self._seconds:
                return explain_failure(ArmBusy("the model's thread had no turn"))
            return explain_failure(error)

    async def _enter(self, patience: float) -> bool:
        if not self._places.locked():
            await self._places.acquire()
            return True
        try:
            async with LiveTimeout(patience):
                await self._places.acquire()
        except TimeoutError:
            return False
        return True


async def ask_champion(champion: ModelPredictor, records: Sequence[Record], seconds: float) -> Call:
    """Ask the version that answers for all; what goes wrong comes back as a failed call."""
    try:
        if champion.is_inline(len(records)):
            predictions, took = await champion.predict_timed(records)
        else:
            async with LiveTimeout(seconds):
                predictions, took = await champion.predict_timed(records)
    except Exception as error:  # whatever a model raises, the caller gets an honest answer
        return explain_failure(error)
    return Call(predictions, 1000 * took)

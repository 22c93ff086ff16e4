"""A time limit of which a moment in which the whole process stood still takes next to nothing."""

import asyncio
from types import TracebackType

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

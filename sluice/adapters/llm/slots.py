"""Requests at a time to one provider, as its answers allow; shared by all calls of one process."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sluice.prompts.calls.pace import Pace


class RequestSlot:
    """The place of one request."""

    def __init__(self, round_: int) -> None:
        self.round = round_
        self.is_refused = False
        self.wait: float | None = None

    def refuse(self, wait: float | None) -> None:
        """Note that the provider was too busy, and the seconds that it asked to wait."""
        self.is_refused, self.wait = True, wait


class RequestSlots:
    """Places that requests wait for, first come first served.

    After a 429 with a wait no request begins before that wait is over; `longest` bounds it, in
    seconds.
    """

    def __init__(self, most: int, longest: float) -> None:
        self.pace = Pace(most)
        self._longest = longest
        self._taken = 0
        self._resume_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[RequestSlot]:
        """Wait for a place and hold it; a body that ends without an error counts as a success."""
        await self._enter()
        slot = RequestSlot(self.pace.round)
        try:
            await self._await_resumption()
            yield slot
            if not slot.is_refused:
                self.pace.count_success()
        finally:
            if slot.is_refused:
                self._slow_down(slot)
            self._leave()

    async def _enter(self) -> None:
        if self._taken < self.pace.limit and not self._waiting:
            self._taken += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()  # it was given the place in the moment in which it went away
            raise

    def _leave(self) -> None:
        self._taken -= 1
        while self._waiting and self._taken < self.pace.limit:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def _slow_down(self, slot: RequestSlot) -> None:
        self.pace.count_refusal(slot.round)
        pause = min(slot.wait or 0.0, self._longest)
        self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + pause)

    async def _await_resumption(self) -> None:
        loop = asyncio.get_running_loop()
        while (pause := self._resume_at - loop.time()) > 0:
            await asyncio.sleep(pause)

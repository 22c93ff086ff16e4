"""Reservations of one process: what many calls ask for at once is one transaction.

While one transaction runs, requests and ends collect for the next one. A request without room
waits as long as another call of this process is under way, which may give some back.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sluice.adapters.control.spending import Spending
from sluice.control.spending import Budget, BudgetRequest, CallEnd, Reservation, Settlement
from sluice.errors import BudgetExceeded, SluiceError


@dataclass(eq=False)
class _Asked:
    request: BudgetRequest
    seconds: float
    answer: "asyncio.Future[Reservation]"
    is_gone: bool = False
    """Whether its caller went away."""


@dataclass(frozen=True)
class _Ended:
    end: CallEnd
    answer: "asyncio.Future[Settlement]"


class ReservationQueue:
    """The one place of a process that reserves and settles, inside one event loop."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        self._asked: list[_Asked] = []
        self._ended: list[_Ended] = []
        self._parked: list[_Asked] = []
        """Requests without room, until the next call ends."""
        self._open = 0
        """Calls with a reservation."""
        self._running: asyncio.Task[None] | None = None

    async def reserve(self, budgets: Sequence[Budget], amount: int, seconds: float) -> Reservation:
        """Set an amount aside in every budget, or in none, for so many seconds.

        Raises:
            BudgetExceeded: there is no room, and no call under way may make some.
            Fault: the control store cannot be reached.
        """
        answer: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        item = _Asked(BudgetRequest(tuple(budgets), amount), seconds, answer)
        self._asked.append(item)
        self._start()
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._withdraw(item)
            raise

    async def _withdraw(self, item: _Asked) -> None:
        """Take a request back whose caller went away; give back what it was given."""
        item.is_gone = True
        for waiting in (self._asked, self._parked):
            if item in waiting:
                waiting.remove(item)
                return
        with suppress(SluiceError):
            await self.settle(CallEnd(await item.answer, 0, was_made=False))

    async def settle(self, end: CallEnd) -> Settlement:
        """Count what a call cost and give back the rest, also where the caller goes away.

        Raises:
            Fault: the control store cannot be reached; the reservation will expire.
        """
        answer: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._ended.append(_Ended(end, answer))
        self._start()
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await asyncio.shield(answer)
            raise

    def _start(self) -> None:
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._asked or self._ended:
                ended, self._ended = self._ended, []
                parked = self._parked if ended else []
                asked = [item for item in (*parked, *self._asked) if not item.answer.done()]
                self._asked = []
                if parked:
                    self._parked = []
                await self._exchange(ended, asked)
        finally:
            self._running = None

    async def _exchange(self, ended: list[_Ended], asked: list[_Asked]) -> None:
        seconds = max((item.seconds for item in asked), default=0.0)
        ends, requests = [item.end for item in ended], [item.request for item in asked]
        try:
            settlements, found = await asyncio.to_thread(
                self._spending.exchange, ends, requests, seconds
            )
        except Exception as error:  # whatever it is, those who wait must be told
            self._open -= len(ended)
            _tell(error, [end.answer for end in ended])
            _tell(error, [item.answer for item in asked])
            return
        self._open += sum(isinstance(item, Reservation) for item in found) - len(ended)
        for end, settlement in zip(ended, settlements, strict=True):
            if not end.answer.done():
                end.answer.set_result(settlement)
        for item, result in zip(asked, found, strict=True):
            self._answer(item, result)

    def _answer(self, item: _Asked, result: Reservation | BudgetExceeded) -> None:
        if isinstance(result, Reservation):
            if not item.answer.done():
                item.answer.set_result(result)
        elif self._open and not item.is_gone:
            self._parked.append(item)
        elif not item.answer.done():
            item.answer.set_exception(result)


def _tell(error: Exception, answers: "Sequence[asyncio.Future[Any]]") -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)

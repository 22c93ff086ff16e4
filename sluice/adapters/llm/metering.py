"""Calls within budgets: the largest cost is reserved before each, and what it cost counted after.

No order of answers spends more than a budget. What a call really cost is counted also where it
fails in the middle, where its caller goes away, and where it cost more than was reserved.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from sluice.adapters.control.spending import Spending
from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.reservations import ReservationQueue
from sluice.adapters.llm.transport import CallTrace
from sluice.control.spending import (
    Budget,
    CallEnd,
    Reservation,
    Settlement,
    count_billionths,
    write_dollars,
)
from sluice.errors import ConfigInvalid
from sluice.prompts.calls.choice import ModelChoice
from sluice.prompts.calls.pricing import find_price
from sluice.prompts.chat import ChatChunk, ChatReply, ChatRequest

SPARE_SECONDS = 60.0
"""How much longer than its call a reservation lives; clocks of two machines may differ by it."""
LOG = logging.getLogger("sluice.llm")
Budgets = Callable[[], Sequence[Budget]]
Report = Callable[[ModelChoice, Settlement], None]
"""Is told what became of each reservation."""


def log_settlement(choice: ModelChoice, found: Settlement) -> None:
    """Log a call that cost more than was reserved, or whose cost nobody told."""
    if found.overrun:
        LOG.warning(
            "a call of %s cost %s more than was reserved for it",
            choice.describe(),
            write_dollars(found.overrun),
        )
    if found.is_unknown:
        LOG.warning(
            "nobody told what a call of %s cost: the %s that were reserved for it are counted",
            choice.describe(),
            write_dollars(found.counted),
        )


@dataclass(frozen=True)
class CallTerms:
    """On which terms a call is made.

    `budgets` None are those of the metered models; where there are none, nothing is reserved.
    `may_fall_back` lets the model's fallback answer where its own provider does not.
    """

    budgets: Sequence[Budget] | None = None
    may_fall_back: bool = False
    trace: CallTrace = field(default_factory=CallTrace)


class MeteredModels:
    """Language models whose calls stay within budgets, which are asked for at each call."""

    def __init__(
        self,
        models: LanguageModels,
        spending: Spending,
        budgets: Budgets = tuple,
        report: Report = log_settlement,
    ) -> None:
        self._models, self._queue, self._budgets = models, ReservationQueue(spending), budgets
        self._report = report

    async def complete(self, request: ChatRequest, terms: CallTerms | None = None) -> ChatReply:
        """Return a model's whole answer.

        Raises:
            BudgetExceeded: the call could cost more than a budget has left, with no call of this
                process under way that may give some back.
            ConfigInvalid: the model's price is unknown, so that no budget can be kept; or what
                `LanguageModels.complete` raises.
        """
        terms = terms or CallTerms()
        async with self._reserve(request, terms) as call:
            call.reply = await self._models.complete(
                request, terms.trace, may_fall_back=terms.may_fall_back
            )
            return call.reply

    async def stream(
        self, request: ChatRequest, terms: CallTerms | None = None, *, is_whole: bool = False
    ) -> AsyncGenerator[ChatChunk, None]:
        """Yield a model's answer as it arrives; close it where it is not read to its end.

        `is_whole` asks for an answer that is not streamed, and yields it as one chunk. What it
        cost is counted when the stream is closed. It raises what `complete` raises.
        """
        terms = terms or CallTerms()
        trace, may = terms.trace, terms.may_fall_back
        async with self._reserve(request, terms) as call:
            if is_whole:
                call.reply = await self._models.complete(request, trace, may_fall_back=may)
                yield ChatChunk(call.reply.text, call.reply)
                return
            chunks = self._models.stream(request, trace, may_fall_back=may)
            async with aclosing(chunks):
                async for chunk in chunks:
                    call.reply = chunk.reply or call.reply
                    yield chunk

    @asynccontextmanager
    async def _reserve(
        self, request: ChatRequest, terms: CallTerms
    ) -> AsyncIterator["_MeteredCall"]:
        choices = self._models.list_choices(request, may_fall_back=terms.may_fall_back)
        budgets = self._budgets() if terms.budgets is None else terms.budgets
        call = _MeteredCall(terms.trace)
        if not budgets or all(find_price(choice).is_free for choice in choices):
            yield call
            return
        call.bounds = [bound_cost(choice, request) for choice in choices]
        seconds = sum(map(_bound_seconds, choices)) + SPARE_SECONDS
        reservation = await self._queue.reserve(budgets, sum(call.bounds), seconds)
        try:
            yield call
        finally:
            self._report(choices[0], await self._queue.settle(call.end(reservation)))


class _MeteredCall:
    def __init__(self, trace: CallTrace) -> None:
        self.trace = trace
        self.reply: ChatReply | None = None
        self.bounds: list[int] = []
        """The largest cost of each model that may answer, in billionths of a US dollar."""

    def end(self, reservation: Reservation) -> CallEnd:
        """Return how the call ended, as far as it is known.

        What the first model cost before its fallback answered was told by nobody: it counts in
        full.
        """
        if self.reply is None:
            return CallEnd(reservation, None, was_made=self.trace.may_have_cost)
        cost = self.reply.cost
        lost = self.bounds[0] if self.trace.has_lost_cost else 0
        return CallEnd(reservation, None if cost is None else count_billionths(cost) + lost)


def _bound_seconds(choice: ModelChoice) -> float:
    """Return the longest time that a call of a model can take."""
    limits, retries = choice.provider.limits, choice.provider.retries
    return retries.attempts * (limits.whole + retries.longest_wait)


def bound_cost(choice: ModelChoice, request: ChatRequest) -> int:
    """Return the most that a call can cost, in billionths of a US dollar.

    Raises:
        ConfigInvalid: the model's price is unknown.
    """
    price = find_price(choice)
    most = price.bound(request)
    if most is None:
        raise ConfigInvalid(price.explain_absence())
    return count_billionths(most)

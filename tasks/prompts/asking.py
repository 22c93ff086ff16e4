"""Asking a model for an evaluation: replies are kept, and what is asked anew stays in a budget."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluice.adapters.control.spending import Spending
from sluice.adapters.control.store import prepare_control
from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.metering import Budgets, MeteredModels, log_settlement
from sluice.adapters.llm.reply_cache import ReplyCache, find_revision
from sluice.config.llm.budgets import list_budgets
from sluice.config.llm.loading import load_language_serving, load_providers
from sluice.config.llm.serving import BudgetsConfig
from sluice.control.spending import (
    BILLION,
    Account,
    Budget,
    Settlement,
    count_billionths,
    write_dollars,
)
from sluice.errors import ConfigInvalid
from sluice.home import Home
from sluice.prompts.calls.choice import ModelChoice
from sluice.prompts.calls.pricing import find_price
from sluice.prompts.chat import ChatRequest
from tasks.prompts.evaluation import Asked

Notify = Callable[[str, str, dict[str, Any]], None]
"""Takes a prompt, the name of an event about it, and the event's payload."""


@dataclass
class CostNotes:
    """What a person should hear about costs, by model: each kind once, however many calls."""

    priceless: dict[str, str] = field(default_factory=dict)
    """Models whose price nobody knows, with what to do."""
    untold: dict[str, list[int]] = field(default_factory=dict)
    """What was counted for calls whose cost nobody told, in billionths of a US dollar."""
    overruns: dict[str, list[int]] = field(default_factory=dict)
    """How much more than reserved calls cost, in billionths of a US dollar."""

    def note_price(self, choice: ModelChoice) -> None:
        """Note a model if its price is not known."""
        price = find_price(choice)
        if not price.is_known:
            self.priceless[choice.describe()] = price.explain_absence()

    def note_settlement(self, choice: ModelChoice, found: Settlement) -> None:
        """Log and note a call that cost more than was reserved, or whose cost nobody told."""
        log_settlement(choice, found)
        if found.overrun:
            self.overruns.setdefault(choice.describe(), []).append(found.overrun)
        if found.is_unknown:
            self.untold.setdefault(choice.describe(), []).append(found.counted)

    def publish(self, prompt: str, version: int, notify: Notify) -> None:
        """Announce `cost.unknown` and `cost.overrun` about a prompt, once a model."""
        found = [(model, "cost.unknown", reason) for model, reason in self.priceless.items()]
        for model, amounts in self.untold.items():
            words = f"{_count(amounts)} of {model} did not tell what they used; what was reserved"
            reason = f"{words}, {write_dollars(sum(amounts))}, is counted"
            found.append((model, "cost.unknown", reason))
        for model, amounts in self.overruns.items():
            words = f"{_count(amounts)} of {model} cost more than was reserved for them"
            reason = f"{words}, together {write_dollars(sum(amounts))} more"
            found.append((model, "cost.overrun", reason))
        for model, event, reason in found:
            notify(prompt, event, {"version": version, "model": model, "reason": reason})


def _count(amounts: list[int]) -> str:
    return f"{len(amounts):,} {'call' if len(amounts) == 1 else 'calls'}"


class CachedAsker:
    """Asks within a budget, and keeps each reply by request, sample and revision of the model."""

    def __init__(
        self,
        models: LanguageModels,
        spending: Spending,
        budget: Budget,
        cache: ReplyCache,
        others: Budgets = tuple,
    ) -> None:
        """Keep calls within `budget`, and within `others`, which are asked for at each call."""
        self._models, self._cache = models, cache
        self._spending, self._budget = spending, budget
        self.notes = CostNotes()
        report = self.notes.note_settlement
        self._metered = MeteredModels(models, spending, lambda: (budget, *others()), report)

    def describe_model(self, name: str) -> str:
        """Return the provider and the exact model that answer for a name that prompts use.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: the provider has retired it.
        """
        return self._models.choose(name).describe()

    async def find_spent(self) -> float:
        """Return what the evaluation has cost so far, in US dollars."""
        found = await asyncio.to_thread(self._spending.find, self._budget.account)
        return found.spent / BILLION

    async def ask(self, request: ChatRequest, sample: int) -> Asked:
        """Return a reply; one that is kept costs nothing.

        The cost of a kept reply is told at the price of now, so that versions are compared at one
        price. One whose tokens nobody counted is asked anew.

        Raises:
            BudgetExceeded: the call could cost more than is left of the budget.
            ConfigInvalid: no such model is known, or its price is not.
            ModelRetired: the provider has retired the model.
            ProviderRefused: the provider refuses the key or the request.
            ProviderUnavailable: it does not answer in time, or answers garbage.
        """
        choice = self._models.choose(request.model)
        revision = find_revision(choice)
        kept = self._cache.find(request, sample, revision)  # a small file: a thread costs more
        if kept is not None and kept.usage.is_known:
            cost = find_price(choice).compute(kept.usage)
            if cost is None:
                self.notes.note_price(choice)
            return Asked(replace(kept, cost=cost), is_cached=True)
        try:
            reply = await self._metered.complete(request)
        except ConfigInvalid:
            self.notes.note_price(choice)
            raise
        await asyncio.to_thread(self._cache.store, request, sample, revision, reply)
        return Asked(reply)


@dataclass(frozen=True)
class AskingScope:
    """For what a model is asked beside an evaluation of its own budget.

    What is asked for a `prompt` counts in the budgets of that prompt too, beside its callers'
    requests. `replies` is the folder of the replies that are kept, else the state folder's own.
    `period` is that of the run's own budget; empty: all time.
    """

    prompt: str = ""
    replies: Path | None = None
    period: str = ""


@asynccontextmanager
async def open_asker(
    home: Home, environment: str, run: str, spend: float, scope: AskingScope = AskingScope()
) -> AsyncIterator[CachedAsker]:
    """Open the models of an environment for one evaluation.

    `run` names it in the control store's ledger, `spend` is the most that it may cost in US
    dollars. What killed processes reserved long ago is given back.
    """
    prompt, replies = scope.prompt, scope.replies
    budget = Budget(Account("run", run, scope.period), count_billionths(spend))
    spending = prepare_control(home).spending
    spending.expire()
    limits = load_language_serving().of(prompt).budgets if prompt else BudgetsConfig()

    def list_others() -> tuple[Budget, ...]:
        return list_budgets(limits, prompt, b"", "", datetime.now(UTC))

    async with LanguageModels(load_providers(), environment, home.logs) as models:
        cache = ReplyCache(replies or home.replies)
        yield CachedAsker(models, spending, budget, cache, list_others)

"""Calls within a budget: never more than it has, and nothing that was spent is lost."""

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.llm.client import LanguageModels
from sluice.adapters.llm.metering import MeteredModels, bound_cost
from sluice.control.spending import Account, Budget, Spent
from sluice.errors import (
    BudgetExceeded,
    ConfigInvalid,
    ControlUnavailable,
    ProviderRefused,
    ProviderUnavailable,
)
from sluice.home import Home
from support.llm.answers import FakeAnswer, refuse
from support.llm.asking import make_request, write_config
from support.llm.provider import FakeProvider

RUN = Account("run", "r1")
REQUEST = make_request("claude", "Hello?")
ANSWER = FakeAnswer("One two three four.", input_tokens=1000, output_tokens=100)
COST = 1_500_000
"""Of that answer, at 1 and 5 dollars per million tokens, in billionths."""
LIMIT = 10**9


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    monkeypatch.delenv("SLUICE_CONTROL_URL", raising=False)
    return prepare_control(Home(tmp_path))


async def ask_metered(
    provider: FakeProvider, control: Control, limit: int, calls: int = 1, **changes: Any
) -> list[Any]:
    """Make calls at once; return their replies and errors."""
    config = write_config(provider, **changes)
    async with LanguageModels(config, "development", Path("/nowhere")) as models:
        metered = MeteredModels(models, control.spending, lambda: [Budget(RUN, limit)])
        made = (metered.complete(REQUEST) for _ in range(calls))
        return await asyncio.gather(*made, return_exceptions=True)


def most_of_a_call(provider: FakeProvider) -> int:
    models = LanguageModels(write_config(provider), "development", Path("/nowhere"))
    return bound_cost(models.choose("claude"), REQUEST)


def test_a_call_counts_what_it_cost(provider: FakeProvider, control: Control) -> None:
    provider.reset(ANSWER)
    [reply] = asyncio.run(ask_metered(provider, control, LIMIT))
    assert reply.cost == COST / 10**9
    assert control.spending.find(RUN) == Spent(spent=COST, calls=1, overruns=1)


def test_a_budget_without_room_is_told_before_anything_is_sent(
    provider: FakeProvider, control: Control
) -> None:
    [error] = asyncio.run(ask_metered(provider, control, most_of_a_call(provider) - 1))
    assert isinstance(error, BudgetExceeded)
    assert (provider.asked, control.spending.find(RUN)) == ([], Spent())


def test_calls_at_once_wait_for_what_others_give_back(
    provider: FakeProvider, control: Control
) -> None:
    provider.reset(FakeAnswer(input_tokens=10, output_tokens=2, seconds=0.01))  # 20,000 billionths
    most = most_of_a_call(provider)
    replies = asyncio.run(ask_metered(provider, control, most + 100_000, calls=12))
    made = [item for item in replies if not isinstance(item, Exception)]
    found = control.spending.find(RUN)
    assert (found.spent, found.reserved, found.calls) == (20_000 * len(made), 0, len(made))
    assert len(made) == 6  # the next one could cost more than is left
    assert provider.most_at_a_time == 1
    assert {type(item) for item in replies if item not in made} == {BudgetExceeded}


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_refused_call_costs_nothing(
    provider: FakeProvider, control: Control, status: int
) -> None:
    provider.reset(refuse(status))
    [error] = asyncio.run(ask_metered(provider, control, LIMIT))
    assert isinstance(error, (ProviderRefused, ProviderUnavailable))
    assert control.spending.find(RUN) == Spent()


@pytest.mark.parametrize("fault", ["half", "garbage", "no_usage", "hang"])
def test_a_call_whose_cost_nobody_told_counts_as_reserved(
    provider: FakeProvider, control: Control, fault: Any
) -> None:
    provider.reset(FakeAnswer(fault=fault))
    [error] = asyncio.run(ask_metered(provider, control, LIMIT))
    assert isinstance(error, ProviderUnavailable)
    most = most_of_a_call(provider)
    assert control.spending.find(RUN) == Spent(spent=most, calls=1, unknown=1)


def test_a_caller_that_goes_away_still_counts(provider: FakeProvider, control: Control) -> None:
    provider.reset(FakeAnswer("One two three four.", gap_seconds=0.05))

    async def leave() -> None:
        config = write_config(provider, limits={})
        async with LanguageModels(config, "development", Path("/nowhere")) as models:
            metered = MeteredModels(models, control.spending, lambda: [Budget(RUN, LIMIT)])
            async with aclosing(metered.stream(REQUEST)) as chunks:
                async for _ in chunks:
                    return

    asyncio.run(leave())
    most = most_of_a_call(provider)
    assert control.spending.find(RUN) == Spent(spent=most, calls=1, unknown=1)


def test_callers_that_go_away_at_any_moment_leave_nothing_reserved(
    provider: FakeProvider, control: Control
) -> None:
    provider.reset(FakeAnswer(seconds=0.02))

    async def leave(models: MeteredModels, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(models.complete(REQUEST), seconds)

    async def run() -> None:
        config = write_config(provider, limits={})
        async with LanguageModels(config, "development", Path("/nowhere")) as models:
            metered = MeteredModels(models, control.spending, lambda: [Budget(RUN, LIMIT)])
            await asyncio.gather(*(leave(metered, place / 500) for place in range(20)))

    asyncio.run(run())
    found = control.spending.find(RUN)
    assert found.reserved == 0
    assert found.calls <= 20


def test_a_model_without_a_price_is_refused_where_a_budget_holds(
    provider: FakeProvider, control: Control
) -> None:
    [error] = asyncio.run(ask_metered(provider, control, LIMIT, prices="nobody"))
    assert isinstance(error, ConfigInvalid)
    assert "models.claude.price: {input: ..., output: ...}" in str(error)
    assert provider.asked == []


def test_a_model_that_is_free_needs_no_budget(provider: FakeProvider, control: Control) -> None:
    free = {"price": {"input": 0, "output": 0}}
    [reply] = asyncio.run(ask_metered(provider, control, 0, models=free))
    assert reply.cost == 0
    assert control.spending.find(RUN) == Spent()


def test_calls_at_once_share_transactions(
    provider: FakeProvider, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.reset(FakeAnswer(input_tokens=10, output_tokens=2, seconds=0.05))
    exchanges, exchange = [], control.spending.exchange

    def count(*given: Any) -> Any:
        exchanges.append(given)
        return exchange(*given)

    monkeypatch.setattr(control.spending, "exchange", count)
    replies = asyncio.run(ask_metered(provider, control, LIMIT, calls=16, limits={}))
    assert not [item for item in replies if isinstance(item, Exception)]
    assert control.spending.find(RUN) == Spent(spent=16 * 20_000, calls=16)
    assert len(exchanges) < 16


def test_a_store_that_fails_is_told_to_everyone_who_waits(
    provider: FakeProvider, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ControlUnavailable("control store: away")

    monkeypatch.setattr(control.spending, "exchange", fail)
    replies = asyncio.run(ask_metered(provider, control, LIMIT, calls=3))
    assert {type(item) for item in replies} == {ControlUnavailable}
    assert provider.asked == []

"""Asking within a budget: kept replies at the price of now, and what a person hears about costs."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import prepare_control
from sluice.adapters.llm.reply_cache import ReplyCache, find_revision
from sluice.errors import ConfigInvalid, SluiceError
from sluice.home import Home
from sluice.prompts.calls.choice import choose_model
from sluice.prompts.chat import ChatReply, TokenUsage
from support.llm.answers import FakeAnswer
from support.llm.asking import KEY_VARIABLE, make_request, write_config
from support.llm.provider import KEY, FakeProvider, run_provider
from tasks.prompts import asking
from tasks.prompts.asking import CostNotes, open_asker
from tasks.prompts.evaluation import Asked

REQUEST = make_request("claude", "Hello?")
ANSWER = FakeAnswer("Good morning.", input_tokens=100, output_tokens=20)
CHEAP, DEAR = {"input": 1, "output": 5}, {"input": 10, "output": 50}
Events = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProvider]:
    with run_provider() as found:
        yield found


class Asking:
    """Asks the provider as an evaluation does, with a price of the model that a test chooses."""

    def __init__(self, provider: FakeProvider, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider, self.home, self._patch = provider.reset(ANSWER), Home(home), monkeypatch
        self.notes = CostNotes()

    def ask(self, sample: int = 0, **options: Any) -> Asked:
        config = write_config(self.provider, limits={}, **options)
        self._patch.setattr(asking, "load_providers", lambda: config)

        async def ask() -> Asked:
            async with open_asker(self.home, "production", "run", 5.0) as asker:
                self.notes = asker.notes
                return await asker.ask(REQUEST, sample)

        return asyncio.run(ask())

    def publish(self) -> Events:
        events: Events = []
        self.notes.publish("greet", 3, lambda *event: events.append(event))
        return events


@pytest.fixture
def asks(running: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.delenv("SLUICE_CONTROL_URL", raising=False)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setattr(asking, "prepare_control", lambda home=None: prepare_control(home))
    return Asking(running, tmp_path, monkeypatch)


def test_a_kept_reply_has_the_price_of_now_and_costs_nothing(asks: Asking) -> None:
    first = asks.ask(models={"price": CHEAP})
    later = asks.ask(models={"price": DEAR})
    assert (first.is_cached, later.is_cached) == (False, True)
    assert first.reply.cost == pytest.approx((100 * 1 + 20 * 5) / 1e6)
    assert later.reply.cost == pytest.approx((100 * 10 + 20 * 50) / 1e6)
    assert len(asks.provider.asked) == 1
    assert asks.publish() == []


def test_a_kept_reply_whose_price_is_not_known_any_more_has_none(asks: Asking) -> None:
    asks.ask(models={"price": CHEAP})
    assert asks.ask(prices="nobody").reply.cost is None
    [(prompt, event, payload)] = asks.publish()
    assert (prompt, event, payload["version"]) == ("greet", "cost.unknown", 3)
    assert "the price of model 'claude' of provider 'anthropic' is unknown" in payload["reason"]


def test_a_kept_reply_whose_tokens_nobody_counted_is_asked_anew(asks: Asking) -> None:
    choice = choose_model(
        write_config(asks.provider), "claude", "production", datetime.now(UTC).date()
    )
    kept = ChatReply("Hi", "m", "anthropic", TokenUsage(), "stop", 0.1)
    ReplyCache(asks.home.replies).store(REQUEST, 0, find_revision(choice), kept)
    found = asks.ask()
    assert (found.is_cached, found.reply.text) == (False, ANSWER.text)
    assert asks.ask().is_cached


def test_an_unknown_price_is_an_event_and_nothing_is_sent(asks: Asking) -> None:
    with pytest.raises(ConfigInvalid, match=r"models\.claude\.price"):
        asks.ask(prices="nobody")
    assert asks.provider.asked == []
    [(_, event, payload)] = asks.publish()
    assert event == "cost.unknown"
    assert payload["model"] == "model 'claude' of provider 'anthropic'"
    assert "next: state it in configs/llm/providers.yaml" in payload["reason"]


def test_tokens_that_nobody_told_are_an_event_with_what_is_counted(asks: Asking) -> None:
    asks.provider.reset(FakeAnswer(fault="no_usage"))
    with pytest.raises(SluiceError):
        asks.ask()
    [(_, event, payload)] = asks.publish()
    assert event == "cost.unknown"
    assert payload["reason"].startswith("1 call of model 'claude' of provider 'anthropic' did not")
    assert "what was reserved, $0.0" in payload["reason"]


def test_a_call_that_costs_more_than_was_reserved_is_an_event(asks: Asking) -> None:
    asks.provider.reset(FakeAnswer(input_tokens=100_000, output_tokens=100))
    asks.ask()
    assert asks.notes.priceless == asks.notes.untold == {}
    [(prompt, event, payload)] = asks.publish()
    assert (prompt, event) == ("greet", "cost.overrun")
    assert (
        "1 call of model 'claude' of provider 'anthropic' cost more than was reserved"
        in (payload["reason"])
    )
    assert "together $0.09" in payload["reason"]

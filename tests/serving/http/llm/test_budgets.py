"""Budgets at the gateway: reserved before a call, settled after it, refused in each dialect."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import anthropic
import openai
import pytest

from sluice.control.spending import BILLION, Account, Spent, name_period
from support.gateway.site import CallerReply, Running, wait_until
from support.llm.answers import FakeAnswer, refuse
from support.llm.live import hang_up_after
from support.llm.provider import FakeProvider

LIMIT = 0.002


def find_spent(running: Running, service: str) -> Spent:
    day = name_period("day", datetime.now(UTC))
    return running.site.control.spending.find(Account("service", service, day))


def ask(running: Running, name: str, **more: Any) -> CallerReply:
    return running.ask(f"/v1/prompts/{name}", {"variables": "Ada", **more})


def test_many_at_once_never_spend_more_than_the_budget(
    prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer(seconds=0.02))
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: ask(prompts, "thrifty"), range(80)))
    statuses = [reply.status for reply in replies]
    assert set(statuses) == {200, 429}
    spent = find_spent(prompts, "thrifty")
    assert spent.spent <= LIMIT * BILLION
    assert spent.reserved == 0
    assert spent.calls == statuses.count(200) == len(provider.asked)
    refused = next(reply for reply in replies if reply.status == 429)
    assert "budget of service thrifty" in refused.json["error"]
    assert refused.headers["x-should-retry"] == "false"


def test_each_dialect_tells_it_in_its_own_words(prompts: Running, provider: FakeProvider) -> None:
    hello: Any = [{"role": "user", "content": "Ada"}]
    with (
        openai.OpenAI(base_url=f"{prompts.address}/v1", api_key="none") as first,
        pytest.raises(openai.RateLimitError, match="budget of service spent") as caught,
    ):
        first.chat.completions.create(model="prompt:spent", messages=hello)
    assert caught.value.code == "insufficient_quota"
    with (
        anthropic.Anthropic(base_url=prompts.address, api_key="none") as second,
        pytest.raises(anthropic.RateLimitError, match="budget of service spent"),
    ):
        second.messages.create(model="prompt:spent", max_tokens=9, messages=hello)
    assert provider.asked == []
    assert find_spent(prompts, "spent") == Spent()


def test_a_failed_call_gives_back_what_was_reserved(
    prompts: Running, provider: FakeProvider
) -> None:
    before = find_spent(prompts, "metered")
    provider.reset(refuse(401))
    assert ask(prompts, "metered").status == 502
    assert find_spent(prompts, "metered") == before


def test_a_caller_that_goes_away_counts_what_was_reserved(
    prompts: Running, provider: FakeProvider
) -> None:
    before = find_spent(prompts, "metered")
    provider.reset(FakeAnswer("one two three four five six", gap_seconds=0.2))
    body = {"variables": "Ada", "stream": True}
    hang_up_after(prompts, "/v1/prompts/metered", body, b"event: text")
    wait_until(lambda: find_spent(prompts, "metered").unknown > before.unknown, 10)
    after = find_spent(prompts, "metered")
    assert after.spent > before.spent
    assert after.reserved == 0


def test_a_key_and_a_user_have_budgets_of_their_own(
    prompts: Running, provider: FakeProvider
) -> None:
    def ask_as(unit: str) -> list[int]:
        return [ask(prompts, "personal", unit=unit).status for _ in range(30)]

    first, second = ask_as("ada"), ask_as("grace")
    assert 429 in first
    assert second[0] == 200
    refused = ask(prompts, "personal", unit="ada")
    assert "budget of user" in refused.json["error"]
    assert "ada" not in refused.json["error"]


def test_a_provider_that_counts_more_than_was_reserved_is_counted_and_told(
    prompts: Running, provider: FakeProvider
) -> None:
    before = find_spent(prompts, "metered")
    provider.reset(FakeAnswer(output_tokens=5000))
    assert ask(prompts, "metered").status == 200
    after = find_spent(prompts, "metered")
    assert after.overruns == before.overruns + 1
    assert after.spent - before.spent == pytest.approx((11e-6 + 5000 * 5e-6) * BILLION, rel=1e-6)

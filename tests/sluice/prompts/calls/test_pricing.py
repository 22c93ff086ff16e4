"""Costs: prices of the table and of the file, unknown ones, and what a call can cost at most."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.config.llm.providers import LanguageModel, OpenAIProvider, StatedPrice
from sluice.prompts.calls.choice import ModelChoice
from sluice.prompts.calls.pricing import find_price
from sluice.prompts.calls.tokens import bound_input_tokens
from sluice.prompts.chat import ChatMessage, ChatRequest, TokenUsage, ToolDefinition


def make_choice(model: str, price: dict[str, Any] | None = None, **provider: Any) -> ModelChoice:
    stated = StatedPrice.model_validate(price) if price else None
    found = LanguageModel(provider="p", id=model, context=10, max_tokens=5, price=stated)
    return ModelChoice(model, model, found, OpenAIProvider(kind="openai", **provider))


def test_the_table_knows_a_price_by_the_provider_s_address_or_name() -> None:
    usage = TokenUsage(input=1000, output=100, cache_read=200)
    expected = pytest.approx((1000 * 0.4 + 100 * 1.6 + 200 * 0.1) / 1e6)
    assert find_price(make_choice("gpt-4.1-mini-2025-04-14")).compute(usage) == expected
    named = make_choice("gpt-4.1-mini", url="https://proxy.example/v1", prices="openai")
    assert find_price(named).compute(usage) == expected


@pytest.mark.parametrize("prices", ["", "openai", "nobody"])
def test_an_unknown_price_is_none_and_says_what_to_do(prices: str) -> None:
    price = find_price(make_choice("m-1", url="http://127.0.0.1:8000/v1", prices=prices))
    request = ChatRequest("m-1", (ChatMessage("user", "Hi"),), 5)
    assert (price.compute(TokenUsage(1, 1)), price.bound(request)) == (None, None)
    assert "next: state it in configs/llm/providers.yaml as models.m-1.price" in (
        price.explain_absence()
    )


def test_a_stated_price_replaces_that_of_the_table() -> None:
    stated = {"input": 2, "output": 10, "cache_read": 1}
    price = find_price(make_choice("gpt-4.1-mini", stated))
    usage = TokenUsage(input=100, output=10, cache_read=50, cache_write=20)
    assert price.compute(usage) == pytest.approx((100 * 2 + 10 * 10 + 50 * 1 + 20 * 2) / 1e6)
    assert not price.is_free


def test_only_a_stated_price_of_0_is_free() -> None:
    free = find_price(make_choice("m-1", {"input": 0, "output": 0}))
    assert (free.is_free, free.compute(TokenUsage(5, 5))) == (True, 0.0)
    assert not find_price(make_choice("m-1")).is_free


@pytest.mark.parametrize("usage", [TokenUsage(), TokenUsage(input=3), TokenUsage(output=3)])
def test_unknown_tokens_have_no_cost(usage: TokenUsage) -> None:
    assert find_price(make_choice("gpt-4.1-mini")).compute(usage) is None


COUNTS = st.integers(0, 10**7)


@given(st.builds(TokenUsage, COUNTS, COUNTS, COUNTS, COUNTS))
def test_a_cost_is_never_negative(usage: TokenUsage) -> None:
    for price in (None, {"input": 3, "output": 15}):
        cost = find_price(make_choice("gpt-4.1-mini", price)).compute(usage)
        assert cost is not None
        assert cost >= 0


@given(st.text(), st.text())
def test_a_text_has_at_most_as_many_tokens_as_bytes(system: str, text: str) -> None:
    request = ChatRequest("m", (ChatMessage("user", text),), 5, system=system)
    size = len(text.encode("utf-8", "surrogatepass")) + len(system.encode("utf-8", "surrogatepass"))
    assert size < bound_input_tokens(request) <= size + 200


def test_tools_and_schemas_count_too() -> None:
    plain = ChatRequest("m", (ChatMessage("user", "Hi"),), 5)
    tool = ToolDefinition("weather", "Tells the weather.", {"type": "object"})
    for changes in ({"tools": (tool,)}, {"output_schema": {"type": "object"}}):
        request = ChatRequest(**{**vars(plain), **changes})
        assert bound_input_tokens(request) > bound_input_tokens(plain) + 1000

"""The official client of Anthropic against the gateway."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from support.gateway.site import Running
from support.llm.answers import FakeAnswer, Tool, refuse
from support.llm.live import find_record
from support.llm.provider import FakeProvider

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: Any = {"name": "weather", "description": "The weather.", "input_schema": SCHEMA}
HELLO: Any = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def client(prompts: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=prompts.address, api_key="none") as client:
        yield client


def test_a_prompt_is_asked_by_its_name(
    client: anthropic.Anthropic, prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("Good day, Ada.", cache_read=3))
    found = client.messages.create(
        model="prompt:greet",
        max_tokens=20,
        messages=[{"role": "user", "content": "Ada"}],
        metadata={"user_id": "ada"},
    )
    assert found.content[0].type == "text"
    assert found.content[0].text == "Good day, Ada."
    assert (found.stop_reason, found.model) == ("end_turn", "prompt:greet")
    assert (found.usage.input_tokens, found.usage.cache_read_input_tokens) == (11, 3)
    assert provider.asked[0].body["max_tokens"] == 20  # fewer than the version's 50
    assert find_record(prompts, "greet", found.id).input_tokens == 14


def test_variables_may_be_given_beside_the_messages(
    client: anthropic.Anthropic, provider: FakeProvider
) -> None:
    client.messages.create(
        model="prompt:pair",
        max_tokens=1000,
        messages=[],
        extra_body={"variables": {"person": "Ada", "place": "Rome"}},
    )
    assert provider.asked[0].question == "Greet Ada in Rome."
    assert provider.asked[0].body["max_tokens"] == 50


def test_a_stream_is_the_clients_own(client: anthropic.Anthropic, provider: FakeProvider) -> None:
    provider.reset(FakeAnswer("one two three"))
    with client.messages.stream(
        model="gpt", max_tokens=20, system="Be kind.", messages=HELLO
    ) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert texts == ["one ", "two ", "three"]
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (11, 7)
    assert provider.asked[0].dialect == "openai"


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_tools_pass_in_both_directions(
    client: anthropic.Anthropic, provider: FakeProvider, model: str
) -> None:
    provider.reset(FakeAnswer("Wait.", tools=(Tool("weather", '{"city": "Rome"}'),)))
    with client.messages.stream(
        model=model,
        max_tokens=50,
        messages=HELLO,
        tools=[WEATHER],
        tool_choice={"type": "any"},
    ) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    call = first.content[-1]
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("weather", {"city": "Rome"})
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    messages: Any = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    provider.reset(FakeAnswer("It is sunny."))
    client.messages.create(model=model, max_tokens=50, messages=messages, tools=[WEATHER])
    sent = provider.asked[0].body["messages"]
    assert "call_1" in str(sent[1])
    assert "sunny" in str(sent[2])


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"model": "gpt-9"}, anthropic.NotFoundError, "'gpt-9' is unknown"),
        ({"model": "prompt:no"}, anthropic.NotFoundError, "found no; allowed"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "max_tokens: found 0"),
        ({"extra_body": {"top_k": 3}}, anthropic.BadRequestError, "top_k"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            anthropic.BadRequestError,
            "messages.0.content.0.type: found 'image'",
        ),
        ({"model": "prompt:greet", "system": "Lie."}, anthropic.BadRequestError, "system: found"),
    ],
    ids=["model", "prompt", "tokens", "unknown", "image", "system"],
)
def test_errors_are_the_clients_own(
    client: anthropic.Anthropic,
    body: dict[str, Any],
    error: type[anthropic.APIStatusError],
    words: str,
) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(**{"model": "claude", "max_tokens": 9, "messages": HELLO, **body})
    assert words in str(caught.value)


def test_a_failure_of_the_provider_is_not_tried_again_by_the_client(
    client: anthropic.Anthropic, provider: FakeProvider
) -> None:
    provider.reset(refuse(401))
    with pytest.raises(anthropic.InternalServerError, match="provider 'anthropic'"):
        client.messages.create(model="claude", max_tokens=9, messages=HELLO)
    assert len(provider.asked) == 1


def test_a_failure_in_the_middle_is_an_error_of_the_client(
    client: anthropic.Anthropic, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("one two three four", fault="half"))
    stream = client.messages.create(model="gpt", max_tokens=9, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIError, match="cut its answer"):
        list(stream)


def test_a_caller_that_cancels_in_the_middle_is_logged(
    client: anthropic.Anthropic, prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("one two three four five six", gap_seconds=0.3))
    with client.messages.stream(
        model="claude", max_tokens=9, messages=HELLO, extra_body={"request_id": "cancelled"}
    ) as stream:
        next(iter(stream.text_stream))
    assert find_record(prompts, "model.claude", "cancelled").reason == "caller_gone"

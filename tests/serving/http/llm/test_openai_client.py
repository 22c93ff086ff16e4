"""The official client of OpenAI against the gateway."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from support.gateway.site import Running
from support.llm.answers import FakeAnswer, Tool, refuse
from support.llm.live import find_record
from support.llm.provider import FakeProvider

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": PARAMETERS},
}
HELLO: Any = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def client(prompts: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{prompts.address}/v1", api_key="none") as client:
        yield client


def test_a_prompt_is_asked_by_its_name(
    client: openai.OpenAI, prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("Good day, Ada."))
    found = client.chat.completions.create(
        model="prompt:greet", messages=[{"role": "user", "content": "Ada"}], user="ada"
    )
    assert found.choices[0].message.content == "Good day, Ada."
    assert found.choices[0].finish_reason == "stop"
    assert found.model == "prompt:greet"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (11, 7)
    assert provider.asked[0].question == "Greet Ada."
    record = find_record(prompts, "greet", found.id)
    assert found._request_id == found.id
    assert record.cost is not None


def test_variables_may_be_given_beside_the_messages(
    client: openai.OpenAI, provider: FakeProvider
) -> None:
    client.chat.completions.create(
        model="prompt:pair",
        messages=[],
        extra_body={"variables": {"person": "Ada", "place": "Rome"}},
    )
    assert provider.asked[0].question == "Greet Ada in Rome."


def test_a_model_is_asked_as_it_is(
    client: openai.OpenAI, prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("Hello."))
    found = client.chat.completions.create(
        model="gpt",
        messages=[{"role": "system", "content": "Be kind."}, *HELLO],
        max_completion_tokens=20,
        temperature=0.5,
        top_p=0.9,
        stop=["END"],
    )
    assert found.choices[0].message.content == "Hello."
    sent = provider.asked[0].body
    assert sent["messages"] == [{"role": "system", "content": "Be kind."}, *HELLO]
    assert (sent["max_completion_tokens"], sent["temperature"]) == (20, 0.5)
    assert (sent["top_p"], sent["stop"]) == (0.9, ["END"])
    record = find_record(prompts, "model.gpt", found.id)
    assert (record.arm, record.version) == ("none", 0)


def test_a_stream_has_its_pieces_and_its_tokens(
    client: openai.OpenAI, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("one two three"))
    chunks = list(
        client.chat.completions.create(
            model="claude", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert [text for text in texts if text] == ["one ", "two ", "three"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 7


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_tools_pass_in_both_directions(
    client: openai.OpenAI, provider: FakeProvider, model: str
) -> None:
    provider.reset(FakeAnswer("", tools=(Tool("weather", '{"city": "Rome"}'),)))
    first = client.chat.completions.create(
        model=model, messages=HELLO, tools=[WEATHER], tool_choice="required"
    )
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.id) == ("weather", "call_1")
    messages: Any = [
        *HELLO,
        first.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    provider.reset(FakeAnswer("It is sunny."))
    client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    sent = provider.asked[0].body["messages"]
    text = str(sent)
    assert "call_1" in text
    assert "sunny" in text
    assert [turn["role"] for turn in sent][-1] == ("tool" if model == "gpt" else "user")


def test_tools_come_at_the_end_of_a_stream(client: openai.OpenAI, provider: FakeProvider) -> None:
    provider.reset(FakeAnswer("Wait.", tools=(Tool("weather", '{"city": "Rome"}'),)))
    chunks = list(
        client.chat.completions.create(model="gpt", messages=HELLO, tools=[WEATHER], stream=True)
    )
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert calls[0].function is not None
    assert calls[0].function.arguments == '{"city": "Rome"}'
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"model": "gpt-9", "messages": HELLO}, openai.NotFoundError, "'gpt-9' is unknown"),
        ({"model": "prompt:no", "messages": HELLO}, openai.NotFoundError, "found no; allowed"),
        ({"model": "gpt", "messages": HELLO, "n": 2}, openai.BadRequestError, "n: found 2"),
        ({"model": "gpt", "messages": HELLO, "seed": 1}, openai.BadRequestError, "seed"),
        (
            {"model": "prompt:greet", "messages": HELLO, "temperature": 1},
            openai.BadRequestError,
            "temperature: found one; allowed: none",
        ),
        (
            {"model": "gpt", "messages": HELLO, "max_tokens": 100_000},
            openai.BadRequestError,
            "max_tokens: found 100000",
        ),
    ],
    ids=["model", "prompt", "n", "unknown", "temperature", "tokens"],
)
def test_errors_are_the_clients_own(
    client: openai.OpenAI, body: dict[str, Any], error: type[openai.APIStatusError], words: str
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(**body)
    assert words in str(caught.value)
    assert isinstance(caught.value.body, dict)


def test_a_failure_of_the_provider_is_not_tried_again_by_the_client(
    client: openai.OpenAI, provider: FakeProvider
) -> None:
    provider.reset(refuse(401))
    with pytest.raises(openai.InternalServerError, match="provider 'openai'"):
        client.chat.completions.create(model="gpt", messages=HELLO)
    assert len(provider.asked) == 1


def test_a_failure_in_the_middle_is_an_error_of_the_client(
    client: openai.OpenAI, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("one two three four", fault="half"))
    with pytest.raises(openai.APIError, match="cut its answer"):
        list(client.chat.completions.create(model="gpt", messages=HELLO, stream=True))


def test_a_client_that_gives_up_is_logged(
    client: openai.OpenAI, prompts: Running, provider: FakeProvider
) -> None:
    provider.reset(FakeAnswer("late", seconds=1.5))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5, max_retries=0).chat.completions.create(
            model="gpt", messages=HELLO, extra_body={"request_id": "gave-up"}
        )
    assert find_record(prompts, "model.gpt", "gave-up").reason == "caller_gone"

"""What is sent and read in each dialect, beside the official clients on the same server."""

import json
from typing import Any

import anthropic
import openai
import pytest

from sluice.prompts.chat import (
    ChatMessage,
    ChatReply,
    ChatRequest,
    FinishReason,
    TokenUsage,
    ToolCall,
    ToolDefinition,
)
from support.llm.answers import FakeAnswer, Tool, refuse
from support.llm.asking import MODELS, ask, make_request, write_config
from support.llm.provider import KEY, FakeProvider

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
LOOK_UP = ToolDefinition("weather", "Tells the weather.", SCHEMA)
FULL = ChatRequest(
    model="",
    messages=(
        ChatMessage("user", "Hi {name}"),
        ChatMessage("assistant", "Hello ☀"),
        ChatMessage("user", "Weather in Köln?"),
    ),
    max_tokens=50,
    system="Be brief.",
    temperature=0.2,
    tools=(LOOK_UP,),
)
ANSWERS = {
    "text": FakeAnswer("Sunny ☀ and warm,\nall day.", cache_read=5, cache_write=3),
    "cut by length": FakeAnswer("Sunny and", finish="length", model="model-of-today"),
    "tools": FakeAnswer("", tools=(Tool("weather", '{"city": "Köln"}', "a"), Tool("t", "{}", "b"))),
    "text and tool": FakeAnswer("Let me see.", tools=(Tool("weather", '{"city": "Ulm"}'),)),
}
TURNS: list[Any] = [{"role": turn.role, "content": turn.content} for turn in FULL.messages]


def ask_ours(provider: FakeProvider, dialect: str, stream: bool) -> ChatReply:
    request = ChatRequest(**{**vars(FULL), "model": MODELS[dialect]})
    found = ask(write_config(provider), request, stream=stream)
    assert found.reply is not None, found.error
    if stream:
        assert "".join(found.texts) == found.reply.text
        assert found.reply.first_token_seconds is not None
        assert 0 < found.reply.first_token_seconds <= found.reply.seconds
    return found.reply


def ask_official(provider: FakeProvider, dialect: str, stream: bool, retries: int = 0) -> ChatReply:
    official = ask_openai if dialect == "openai" else ask_anthropic
    return official(provider, stream, retries)


def ask_openai(provider: FakeProvider, stream: bool, retries: int) -> ChatReply:
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key=KEY, max_retries=retries)
    function = {
        "name": LOOK_UP.name,
        "description": LOOK_UP.description,
        "parameters": dict(LOOK_UP.parameters),
    }
    values: Any = {
        "model": "gpt-4.1-mini-2025-04-14",
        "messages": [{"role": "system", "content": FULL.system}, *TURNS],
        "max_completion_tokens": FULL.max_tokens,
        "temperature": FULL.temperature,
        "tools": [{"type": "function", "function": function}],
    }
    with client:
        if stream:
            found: Any = read_openai_stream(client, values)
        else:
            found = client.chat.completions.create(**values)
    message, usage = found.choices[0].message, found.usage
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0, details.cache_write_tokens or 0)
    return ChatReply(
        text=message.content or "",
        model=found.model,
        provider=dialect_name(openai),
        usage=TokenUsage(usage.prompt_tokens - sum(cached), usage.completion_tokens, *cached),
        finish_reason=found.choices[0].finish_reason,
        seconds=0,
        tool_calls=tuple(
            ToolCall(call.function.name, call.function.arguments, call.id)
            for call in message.tool_calls or ()
        ),
    )


def read_openai_stream(client: openai.OpenAI, values: dict[str, Any]) -> Any:
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(**values, stream_options=options) as events:
        try:
            return events.get_final_completion()
        except openai.LengthFinishReasonError as cut:
            return cut.completion


def ask_anthropic(provider: FakeProvider, stream: bool, retries: int) -> ChatReply:
    client = anthropic.Anthropic(base_url=provider.url, api_key=KEY, max_retries=retries)
    tool = {
        "name": LOOK_UP.name,
        "description": LOOK_UP.description,
        "input_schema": dict(LOOK_UP.parameters),
    }
    values: Any = {
        "model": "claude-haiku-4-5",
        "messages": TURNS,
        "max_tokens": FULL.max_tokens,
        "system": FULL.system,
        "extra_body": {"temperature": FULL.temperature},  # only older models have one
        "tools": [tool],
    }
    with client:
        if stream:
            with client.messages.stream(**values) as events:
                found: Any = events.get_final_message()
        else:
            found = client.messages.create(**values)
    usage = found.usage
    finishes: dict[str, FinishReason] = {
        "end_turn": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
    }
    return ChatReply(
        text="".join(block.text for block in found.content if block.type == "text"),
        model=found.model,
        provider=dialect_name(anthropic),
        usage=TokenUsage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens or 0,
            usage.cache_creation_input_tokens or 0,
        ),
        finish_reason=finishes[found.stop_reason],
        seconds=0,
        tool_calls=tuple(
            ToolCall(block.name, json.dumps(block.input), block.id)
            for block in found.content
            if block.type == "tool_use"
        ),
    )


def dialect_name(client: Any) -> str:
    return str(client.__name__)


def compare(reply: ChatReply) -> dict[str, Any]:
    """Return what two clients have to agree on; arguments of tools by their values."""
    calls = [(call.name, json.loads(call.arguments), call.id) for call in reply.tool_calls]
    unlike = {"seconds", "first_token_seconds", "cost", "tool_calls"}
    return {name: value for name, value in vars(reply).items() if name not in unlike} | {
        "calls": calls
    }


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("name", ANSWERS)
def test_ours_and_the_official_client_ask_and_read_the_same(
    provider: FakeProvider, dialect: str, name: str, stream: bool
) -> None:
    provider.reset(ANSWERS[name])
    ours = ask_ours(provider, dialect, stream)
    official = ask_official(provider, dialect, stream)
    assert compare(ours) == compare(official)
    sent, expected = (asked.body for asked in provider.asked)
    expected.pop("stream", None) if not stream else None
    assert sent == expected


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
def test_after_a_refusal_both_clients_ask_again_and_read_the_same(
    provider: FakeProvider, dialect: str, stream: bool
) -> None:
    wait = refuse(429, retry_after="0.05")
    provider.reset(lambda asked: wait if asked.number % 2 else ANSWERS["text"])
    ours = ask_ours(provider, dialect, stream)
    official = ask_official(provider, dialect, stream, retries=1)
    assert compare(ours) == compare(official)
    assert len(provider.asked) == 4


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 429, 500, 529])
@pytest.mark.parametrize("dialect", MODELS)
def test_both_clients_name_the_same_refusal(
    provider: FakeProvider, dialect: str, status: int, stream: bool
) -> None:
    provider.reset(refuse(status))
    request = ChatRequest(**{**vars(FULL), "model": MODELS[dialect]})
    ours = ask(write_config(provider, retries={"attempts": 1}), request, stream=stream)
    errors = (openai.APIStatusError, anthropic.APIStatusError)
    with pytest.raises(errors) as caught:
        ask_official(provider, dialect, stream)
    assert caught.value.status_code == status
    for words in (f"({status})", "something is wrong"):
        assert words in str(ours.error)
    assert "something is wrong" in str(caught.value)


@pytest.mark.parametrize("dialect", MODELS)
def test_a_schema_is_asked_for_as_the_dialect_has_it(provider: FakeProvider, dialect: str) -> None:
    ask(write_config(provider), make_request(MODELS[dialect], output_schema=SCHEMA))
    body = provider.asked[0].body
    if dialect == "anthropic":
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    else:
        schema = {"name": "answer", "schema": SCHEMA, "strict": True}
        assert body["response_format"] == {"type": "json_schema", "json_schema": schema}


def test_an_older_server_is_given_the_key_of_its_time(provider: FakeProvider) -> None:
    config = write_config(provider)
    old = config.providers["openai"].model_copy(update={"output_limit": "max_tokens"})
    config = config.model_copy(update={"providers": {**config.providers, "openai": old}})
    ask(config, make_request("gpt"))
    assert provider.asked[0].body["max_tokens"] == 100
    assert "max_completion_tokens" not in provider.asked[0].body


def test_the_cost_of_a_reply_counts_what_was_cached(provider: FakeProvider) -> None:
    provider.reset(
        FakeAnswer(input_tokens=1000, output_tokens=100, cache_read=500, cache_write=200)
    )
    found = ask(write_config(provider), make_request())
    assert found.reply is not None
    assert found.reply.cost == pytest.approx((1000 + 5 * 100 + 0.1 * 500 + 1.25 * 200) / 1e6)

"""One call of a language model: the request, the reply, and the tokens that were used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal

Role = Literal["user", "assistant"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "unknown"]


@dataclass(frozen=True)
class ToolCall:
    """A call that the model asks for; `arguments` is JSON, as the model wrote it."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True)
class ToolResult:
    """What a tool answered to the call of this id."""

    call_id: str
    content: str


@dataclass(frozen=True)
class ChatMessage:
    """One turn of a conversation.

    An assistant's turn may have asked for calls of tools; the user's turn behind it has their
    results, before its own text.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True)
class ToolDefinition:
    """A tool that the model may call; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class ChatRequest:
    """What is sent to a model, whichever provider it has.

    `model` is the name that prompts use, such as `claude-sonnet-4`; `configs/llm/providers.yaml`
    says which provider answers for it. `messages` begins and ends with a user's turn and
    alternates. `temperature` None leaves it to the model. `output_schema` is a JSON schema that
    the answer has to fit.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    system: str | None = None
    temperature: float | None = None
    tools: tuple[ToolDefinition, ...] = ()
    output_schema: Mapping[str, Any] | None = None
    tool_choice: str = ""
    """`auto`, `none`, `any`, or `tool NAME`; empty leaves it to the provider."""
    top_p: float | None = None
    stop: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the request as canonical JSON: the same text for the same request.

        What callers alone may ask for is left out where they do not, so that a prompt's requests
        keep the text that they had before there was such a thing.
        """
        values = asdict(self)
        for turn in values["messages"]:
            _leave_out(turn, ("tool_calls", "tool_results"))
        _leave_out(values, ("tool_choice", "top_p", "stop"))
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        """The hexadecimal sha256 of the canonical JSON."""
        return sha256(self.to_json().encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one call, as the provider counted them; None where it did not say.

    `input` has the tokens that were not read from a cache nor written to one, so that the sum of
    `input`, `cache_read` and `cache_write` is the whole input.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int = 0
    cache_write: int = 0

    @property
    def is_known(self) -> bool:
        """Whether the provider told both input and output."""
        return self.input is not None and self.output is not None


@dataclass(frozen=True)
class ChatReply:
    """A whole answer of a model.

    `model` is the exact model or revision that the provider names. Times are in seconds from the
    moment the request was sent; `first_token_seconds` is None where the answer was not streamed.
    `cost` is in US dollars, None where a price or the usage is unknown.
    """

    text: str
    model: str
    provider: str
    usage: TokenUsage
    finish_reason: FinishReason
    seconds: float
    first_token_seconds: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    cost: float | None = None


@dataclass(frozen=True)
class ChatChunk:
    """A part of a streamed answer, in order; the last one has the whole `reply`."""

    text: str = ""
    reply: ChatReply | None = None


def _leave_out(values: dict[str, Any], names: tuple[str, ...]) -> None:
    """Remove keys that have nothing; an empty value of JSON is a tuple here."""
    for name in names:
        if values[name] in ((), "", None):
            del values[name]

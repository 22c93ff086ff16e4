"""What differs between providers: how a request is written and an answer is read."""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

import msgspec

from sluice.prompts.chat import ChatRequest, FinishReason, TokenUsage, ToolCall

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
"""A number of tokens."""
Shape = TypeVar("Shape")


class ReplyUnreadable(ValueError):  # noqa: N818
    """A provider's answer that cannot be read; the message continues its name."""


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream: its name, empty where it has none, and its data."""

    name: str
    data: bytes


@dataclass(frozen=True)
class ModelAnswer:
    """What a provider answered, without times and costs."""

    text: str
    model: str
    usage: TokenUsage
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()


class StreamedAnswer(Protocol):
    """An answer that arrives in events."""

    usage: TokenUsage
    """The tokens that were told so far."""
    is_over: bool
    """Whether the provider said that the answer is complete."""
    has_begun: bool
    """Whether a part of the answer has arrived: text, or a call of a tool."""

    def read(self, event: ServerEvent) -> str:
        """Return the text that an event adds.

        Raises:
            ReplyUnreadable: the event is no part of an answer, or reports an error.
        """

    def finish(self) -> ModelAnswer:
        """Return the whole answer.

        Raises:
            ReplyUnreadable: it ended too early, or without the tokens that were used.
        """


class Dialect(Protocol):
    """One way to speak to a provider over HTTP."""

    path: str
    """The path behind the provider's address."""

    def authorize(self, key: str) -> dict[str, str]:
        """Return the headers that carry a key, and those that every request has."""

    def write(self, request: ChatRequest, model: str, *, stream: bool) -> dict[str, Any]:
        """Return a request's body, with the provider's own name of the model."""

    def read(self, body: bytes) -> ModelAnswer:
        """Return the answer that a body has.

        Raises:
            ReplyUnreadable: it is no answer, or does not tell the tokens that were used.
        """

    def open_stream(self) -> StreamedAnswer:
        """Return the reader of one streamed answer."""


def decode(data: bytes, shape: type[Shape]) -> Shape:
    """Return JSON as a provider's documentation shapes it; keys that it does not name are left.

    Raises:
        ReplyUnreadable: it is no JSON, lacks a key, or has a value of the wrong type or range.
    """
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError as error:
        raise ReplyUnreadable(f"sent an answer of another shape: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReplyUnreadable(f"sent something that is not JSON: {error}") from error


def require_usage(usage: TokenUsage) -> TokenUsage:
    """Return the tokens of an answer that tells all of them.

    Raises:
        ReplyUnreadable: input or output is missing.
    """
    if not usage.is_known:
        missing = "input" if usage.input is None else "output"
        raise ReplyUnreadable(f"did not tell the tokens that were used ({missing} is missing)")
    return usage


class AnswerParts:
    """What has arrived of a streamed answer, in whichever dialect; `end` names its last event.

    `tools` are the calls by place: id, name, pieces of the arguments.
    """

    end = ""

    def __init__(self) -> None:
        self.usage = TokenUsage()
        self.is_over = self.has_begun = False
        self.tools: dict[int, tuple[str, str, list[str]]] = {}
        self.model = ""
        self._texts: list[str] = []

    def add_text(self, text: str) -> str:
        """Add a piece of the text, and return it."""
        if text:
            self._texts.append(text)
            self.has_begun = True
        return text

    def join(self, finish_reason: FinishReason) -> ModelAnswer:
        """Return the whole answer.

        Raises:
            ReplyUnreadable: its last event is missing, or the tokens that were used.
        """
        if not self.is_over:
            raise ReplyUnreadable(f"ended its answer in the middle, without {self.end}")
        calls = tuple(
            ToolCall(name, "".join(pieces) or "{}", identity)
            for _, (identity, name, pieces) in sorted(self.tools.items())
        )
        text, usage = "".join(self._texts), require_usage(self.usage)
        return ModelAnswer(text, self.model, usage, finish_reason, calls)

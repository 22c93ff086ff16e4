"""What a caller asks of a prompt or a model, and what it is answered, in no dialect yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from serving.http.replies import Reply
from sluice.prompts.chat import ChatRequest, FinishReason, TokenUsage, ToolCall

PROMPT = "prompt:"
"""Prefix by which the model's name in a dialect names a prompt."""


@dataclass(frozen=True)
class LanguageRequest:
    """One request: `prompt` is the prompt's name, or `chat` what is asked of a model itself.

    `name` is the model as the caller named it. `variables` are those of the prompt, or a text
    where it has one. `most_tokens` limits the answer of a prompt further than its version does.
    """

    name: str
    prompt: str = ""
    chat: ChatRequest | None = None
    variables: Mapping[str, str] | str = ""
    context: tuple[str, ...] = ()
    request_id: str | None = None
    unit: str | None = None
    is_streamed: bool = False
    wants_usage: bool = True
    most_tokens: int | None = None


@dataclass(frozen=True)
class AnswerStart:
    """What is known of an answer before its first piece."""

    request_id: str
    name: str
    service: str
    version: int
    arm: str
    at: int
    """Seconds since 1970, UTC."""


@dataclass(frozen=True)
class LanguageAnswer:
    """A whole answer; `model` is the provider's exact one, empty where it was not told."""

    start: AnswerStart
    text: str
    finish_reason: FinishReason
    usage: TokenUsage
    tool_calls: tuple[ToolCall, ...] = ()
    model: str = ""
    provider: str = ""
    cost: float | None = None
    unit: str | None = None
    is_fallback: bool = False
    guardrails: tuple[str, ...] = ()


class AnswerStream(Protocol):
    """The events of one streamed answer, in a dialect."""

    def begin(self) -> bytes:
        """Return what comes before the first piece."""

    def write(self, piece: str) -> bytes:
        """Return a piece of the text."""

    def end(self, answer: LanguageAnswer) -> bytes:
        """Return what comes after the last piece."""

    def fail(self, reply: Reply) -> bytes:
        """Return an error in the middle."""


class AnswerDialect(Protocol):
    """How one endpoint reads requests and writes answers and errors."""

    def read(self, body: bytes, name: str) -> LanguageRequest:
        """Return a request; `name` is the prompt of the path, where it has one.

        Raises:
            RequestInvalid: the body is none.
        """

    def write(self, answer: LanguageAnswer) -> Reply:
        """Return a whole answer."""

    def open(self, start: AnswerStart, asked: LanguageRequest) -> AnswerStream:
        """Return the writer of a streamed answer."""

    def explain(self, reply: Reply) -> Reply:
        """Return an error of the gateway as this endpoint's clients read it."""

"""What the provider of the tests answers, and what goes wrong on purpose."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Fault = Literal[
    "",
    "status",  # `status` with an error's body
    "status_page",  # `status` with a page of HTML, as a proxy sends it
    "hang",  # nothing is sent, not even headers
    "stall",  # a part of the answer, then nothing
    "garbage",  # status 200, and something that is not JSON
    "wrong_shape",  # JSON without what the dialect has
    "half",  # the connection ends in the middle of the answer
    "unfinished",  # the body ends in order, without the end of the answer
    "no_usage",
    "negative_usage",
    "text_usage",  # "many" where a number belongs
    "error_event",  # an error in the middle of a stream
    "disconnect",  # the connection ends before the headers
]


@dataclass(frozen=True)
class AskedRequest:
    """One request as it arrived; `number` counts from 1, the same request again counts too."""

    dialect: Literal["anthropic", "openai"]
    body: dict[str, Any]
    headers: dict[str, str]
    number: int

    @property
    def is_streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def question(self) -> str:
        """The last turn's text."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else content[0]["text"]


@dataclass(frozen=True)
class Tool:
    name: str
    arguments: str
    id: str = "call_1"


@dataclass(frozen=True)
class FakeAnswer:
    """An answer, or a fault; `pieces` are the parts of a streamed text."""

    text: str = "Good morning."
    tools: tuple[Tool, ...] = ()
    input_tokens: int = 11
    output_tokens: int = 7
    cache_read: int = 0
    cache_write: int = 0
    model: str = ""
    finish: Literal["stop", "length"] = "stop"
    seconds: float = 0.0
    """Time before the first byte."""
    gap_seconds: float = 0.0
    """Time between the pieces of a streamed text."""
    fault: Fault = ""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "something is wrong"
    code: str = "server_error"

    @property
    def pieces(self) -> list[str]:
        words = self.text.split(" ")
        return [word + (" " if place < len(words) - 1 else "") for place, word in enumerate(words)]


Answering = Callable[[AskedRequest], FakeAnswer]


def refuse(status: int, **headers: str) -> FakeAnswer:
    """Return an error with a status, with headers such as `retry_after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeAnswer(fault="status", status=status, headers=named)


def write_usage(dialect: str, answer: FakeAnswer) -> dict[str, Any]:
    """Return the counts of tokens as a dialect writes them; a fault may spoil them."""
    output: Any = answer.output_tokens
    if answer.fault == "negative_usage":
        output = -3
    if answer.fault == "text_usage":
        output = "many"
    if dialect == "anthropic":
        return {
            "input_tokens": answer.input_tokens,
            "output_tokens": output,
            "cache_read_input_tokens": answer.cache_read,
            "cache_creation_input_tokens": answer.cache_write,
        }
    whole = answer.input_tokens + answer.cache_read + answer.cache_write
    details = {"cached_tokens": answer.cache_read, "cache_write_tokens": answer.cache_write}
    total = whole + answer.output_tokens
    counts = {"prompt_tokens": whole, "completion_tokens": output, "total_tokens": total}
    return {**counts, "prompt_tokens_details": details}

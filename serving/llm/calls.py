"""One call of a language model by an arm, piece by piece: what it took, however it ends."""

import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Protocol

from sluice.errors import (
    ArmBusy,
    BudgetExceeded,
    ConfigInvalid,
    ControlUnavailable,
    ModelRetired,
    PromptInvalid,
    ProviderRefused,
    ProviderUnavailable,
    RequestInvalid,
)

if TYPE_CHECKING:  # a gateway of models imports none of it
    from sluice.adapters.llm.transport import CallTrace
    from sluice.prompts.chat import ChatChunk, ChatReply, TokenUsage, ToolCall

LOG = logging.getLogger("sluice.gateway")
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (ArmBusy, "busy"),
    (BudgetExceeded, "budget"),
    (ControlUnavailable, "store"),
    (ProviderUnavailable, "unavailable"),
    (ProviderRefused, "refused"),
    (ModelRetired, "retired"),
    (ConfigInvalid, "config"),
    (PromptInvalid, "config"),
    (RequestInvalid, "signature"),
)
"""Words for why an arm failed; `signature`: it does not take the caller's variables."""
FALLBACK = "provider_fallback"
"""Reason of an arm whose own model did not answer, so that the model's fallback did."""
GONE = "caller_gone"
"""Reason in the record of a caller that hung up before its answer was whole."""
BLOCKED = "input_guardrail"
"""Reason in the record of a request that a guardrail kept from every model."""
NO_FAILURE = (GONE, BLOCKED)
"""Reasons of no arm: it did not fail."""
NO_EVIDENCE = ("busy", "budget", "store", *NO_FAILURE)
"""Reasons that say nothing about a model."""


class OutputGuard(Protocol):
    """What an answer goes through before it may leave."""

    hits: tuple[str, ...]
    """What was found, such as `output:email:mask`, never the text."""
    is_blocked: bool
    """Whether nothing more of the answer may leave."""

    def feed(self, text: str) -> str:
        """Take the next piece of an answer, and return what may leave now."""

    def end(self, calls: "tuple[ToolCall, ...]") -> "tuple[str, tuple[ToolCall, ...]]":
        """Take the calls of tools at the answer's end; return the rest, and the calls, to leave."""

    def restate(self, text: str) -> str:
        """Return what left as it may be kept: without what a guardrail found too late."""


class OpenGuard:
    """The guard of an answer without guardrails."""

    hits: tuple[str, ...] = ()
    is_blocked = False

    def feed(self, text: str) -> str:
        """Return the piece."""
        return text

    def end(self, calls: "tuple[ToolCall, ...]") -> "tuple[str, tuple[ToolCall, ...]]":
        """Return nothing more than the calls."""
        return "", calls

    def restate(self, text: str) -> str:
        """Return the text."""
        return text


class PromptCall:
    """A call of one arm; `read` gives what may leave, the rest is known at its end.

    `latency_ms` is the time that was spent waiting for the model, so that a caller who reads slowly
    slows no arm down.
    """

    def __init__(
        self,
        chunks: "AsyncGenerator[ChatChunk, None]",
        trace: "CallTrace",
        guard: OutputGuard,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._chunks, self.trace, self.guard, self._on_end = chunks, trace, guard, on_end
        self._ready: str | None = None
        self._seconds = 0.0
        self._parts: list[str] = []
        self.reply: ChatReply | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        self.first_byte_ms: float | None = None
        self.reason = ""
        self.error: Exception | None = None
        self.is_over = self.has_ended = False

    @property
    def failed(self) -> bool:
        """Whether the arm failed; its model's fallback may have answered all the same."""
        return bool(self.reason) and self.reason not in NO_FAILURE

    @property
    def is_evidence(self) -> bool:
        """Whether the call says something about the model."""
        return self.reason not in NO_EVIDENCE

    @property
    def is_blocked(self) -> bool:
        """Whether a guardrail holds the answer back."""
        return self.guard.is_blocked

    @property
    def has_begun(self) -> bool:
        """Whether a piece has left, or may leave now."""
        return bool(self._parts) or self._ready is not None

    @property
    def latency_ms(self) -> float:
        """The arm's own time in milliseconds; 0 where it failed."""
        return 0.0 if self.failed else 1000 * self._seconds

    @property
    def usage(self) -> "TokenUsage":
        """The tokens of its answer, or those that the provider has told so far."""
        return self.trace.usage if self.reply is None else self.reply.usage

    @property
    def text(self) -> str:
        """What has left so far."""
        return "".join(self._parts)

    def follow(self, on_end: Callable[[], object]) -> None:
        """Have a function called when the call has ended, however it ends."""
        self._on_end = on_end

    async def begin(self) -> None:
        """Wait until a first piece may leave, or the answer is over.

        Raises:
            SluiceError: the model gave no answer.
        """
        self._ready = await self._advance()

    async def read(self) -> str | None:
        """Return the next piece that may leave; None at the end.

        Raises:
            SluiceError: the model did not finish its answer.
        """
        piece, self._ready = self._ready, None
        if piece is None:
            piece = await self._advance()
        if piece is not None:
            self._parts.append(piece)
        return piece

    def fail(self, error: Exception) -> None:
        """Note that the call failed, in one word that is never data."""
        self.error = error
        self.reason = next((word for kind, word in REASONS if isinstance(error, kind)), "error")

    def leave(self) -> None:
        """Note that the caller went away."""
        self.reason = self.reason or GONE

    async def close(self) -> None:
        """End the call; what the model is still sending is not read."""
        if self.has_ended:
            return
        self.has_ended = True
        if self.trace.span is not None:
            self.trace.span.end = time.time_ns()
        try:
            await self._chunks.aclose()
        except Exception as error:  # the answer is there all the same
            LOG.warning("what a call cost could not be counted: %s", error)
        finally:
            self._on_end()

    async def _advance(self) -> str | None:
        while not self.is_over:
            began = time.perf_counter()
            try:
                chunk = await anext(self._chunks)
            finally:
                self._seconds += time.perf_counter() - began
            piece = self._take(chunk)
            if self.is_over:
                await self.close()
            if piece:
                return piece
        return None

    def _take(self, chunk: "ChatChunk") -> str:
        if self.first_byte_ms is None and chunk.text and chunk.reply is None:
            self.first_byte_ms = 1000 * self._seconds
        piece = self.guard.feed(chunk.text) if chunk.text else ""
        if chunk.reply is not None:
            self.reply = chunk.reply
            rest, self.tool_calls = self.guard.end(chunk.reply.tool_calls)
            piece += rest
            if self.trace.is_fallback:
                self.reason = FALLBACK
        self.is_over = chunk.reply is not None or self.guard.is_blocked
        return piece

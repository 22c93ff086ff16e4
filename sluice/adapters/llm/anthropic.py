"""Messages, as Anthropic speaks them."""

from typing import Any

import msgspec

from sluice.adapters.llm.dialect import (
    AnswerParts,
    Count,
    ModelAnswer,
    ReplyUnreadable,
    ServerEvent,
    decode,
    require_usage,
)
from sluice.adapters.llm.openai import describe_error
from sluice.prompts.chat import ChatMessage, ChatRequest, FinishReason, TokenUsage, ToolCall

VERSION = "2023-06-01"
FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Usage(msgspec.Struct):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Message(msgspec.Struct):
    content: list[_Block]
    model: str = ""
    stop_reason: str | None = None
    usage: _Usage = msgspec.field(default_factory=_Usage)


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Any = None


class Messages:
    """The dialect of Anthropic's messages."""

    path = "/v1/messages"

    def authorize(self, key: str) -> dict[str, str]:
        """Return the headers that carry the key and the version of the API."""
        return {"x-api-key": key, "anthropic-version": VERSION}

    def write(self, request: ChatRequest, model: str, *, stream: bool) -> dict[str, Any]:
        """Return the body of a request."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [_write_turn(turn) for turn in request.messages],
            "max_tokens": request.max_tokens,
        }
        if request.system is not None:
            body["system"] = request.system
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.tools:
            body["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": dict(tool.parameters),
                }
                for tool in request.tools
            ]
        if request.tool_choice:
            kind, _, name = request.tool_choice.partition(" ")
            body["tool_choice"] = {"type": kind, "name": name} if name else {"type": kind}
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.stop:
            body["stop_sequences"] = list(request.stop)
        if request.output_schema is not None:
            schema = {"type": "json_schema", "schema": dict(request.output_schema)}
            body["output_config"] = {"format": schema}
        if stream:
            body["stream"] = True
        return body

    def read(self, body: bytes) -> ModelAnswer:
        """Return the answer that a body has.

        Raises:
            ReplyUnreadable: it is no message, or does not tell the tokens that were used.
        """
        found = decode(body, _Message)
        calls = tuple(
            ToolCall(block.name, bytes(block.input).decode(), block.id)
            for block in found.content
            if block.type == "tool_use"
        )
        return ModelAnswer(
            text="".join(block.text for block in found.content if block.type == "text"),
            model=found.model,
            usage=require_usage(_count(found.usage, TokenUsage())),
            finish_reason=FINISHES.get(found.stop_reason or "", "unknown"),
            tool_calls=calls,
        )

    def open_stream(self) -> "MessageStream":
        """Return the reader of one streamed answer."""
        return MessageStream()


class MessageStream(AnswerParts):
    """A message in events, up to `message_stop`."""

    end = "message_stop"

    def __init__(self) -> None:
        super().__init__()
        self._finish = ""

    def read(self, event: ServerEvent) -> str:
        """Return the text that an event adds.

        Raises:
            ReplyUnreadable: it is no event of a message, or reports an error.
        """
        found = decode(event.data, _Event)
        if found.type == "error":
            raise ReplyUnreadable(f"reported an error in its answer: {describe_error(found.error)}")
        if found.type == "content_block_delta" and found.delta:
            return self._add(found.index, found.delta)
        if found.type == "content_block_start" and found.content_block:
            return self._start_block(found.index, found.content_block)
        if found.type == "message_start" and found.message:
            self.model = found.message.model
            found.message.usage.output_tokens = None  # a first number, not that of the answer
            self.usage = _count(found.message.usage, self.usage)
        elif found.type == "message_delta":
            self._finish = (found.delta and found.delta.stop_reason) or self._finish
            if found.usage:
                self.usage = _count(found.usage, self.usage)
        elif found.type == "message_stop":
            self.is_over = True
        return ""

    def finish(self) -> ModelAnswer:
        """Return the whole answer.

        Raises:
            ReplyUnreadable: it has no `message_stop`, or does not tell the tokens that were used.
        """
        return self.join(FINISHES.get(self._finish, "unknown"))

    def _start_block(self, index: int, block: _Block) -> str:
        if block.type == "tool_use":
            self.tools[index] = (block.id, block.name, [])
            self.has_begun = True
        return self.add_text(block.text) if block.type == "text" else ""

    def _add(self, index: int, delta: _Delta) -> str:
        if delta.type == "input_json_delta":
            if index not in self.tools:
                raise ReplyUnreadable(
                    f"sent arguments of a tool that it did not name (block {index})"
                )
            self.tools[index][2].append(delta.partial_json)
        return self.add_text(delta.text) if delta.type == "text_delta" else ""


def _count(usage: _Usage, before: TokenUsage) -> TokenUsage:
    """Return the tokens; counts are of the whole answer so far, and what is not told stays."""
    cached = (usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    return TokenUsage(
        input=before.input if usage.input_tokens is None else usage.input_tokens,
        output=before.output if usage.output_tokens is None else usage.output_tokens,
        cache_read=before.cache_read if cached[0] is None else cached[0],
        cache_write=before.cache_write if cached[1] is None else cached[1],
    )


def _write_turn(turn: ChatMessage) -> dict[str, Any]:
    """Return a turn; one with calls of tools or their results has blocks."""
    if not turn.tool_calls and not turn.tool_results:
        return {"role": turn.role, "content": turn.content}
    blocks: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": result.call_id, "content": result.content}
        for result in turn.tool_results
    ]
    blocks += [{"type": "text", "text": turn.content}] if turn.content else []
    blocks += [
        {
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": msgspec.Raw(call.arguments.encode()),
        }
        for call in turn.tool_calls
    ]
    return {"role": turn.role, "content": blocks}

"""Chat completions, as OpenAI and many servers speak them."""

from collections.abc import Iterator
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
from sluice.prompts.chat import ChatMessage, ChatRequest, FinishReason, TokenUsage, ToolCall

END = b"[DONE]"
FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Details(msgspec.Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count
    completion_tokens: Count
    prompt_tokens_details: _Details | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Tool(msgspec.Struct):
    id: str | None = None
    index: int = 0
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Tool] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


class _Part(msgspec.Struct):
    delta: _Message = msgspec.field(default_factory=_Message)
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Part] = []
    model: str = ""
    usage: _Usage | None = None
    error: Any = None


class ChatCompletions:
    """The dialect of chat completions; `output_limit` is its key for the most output tokens."""

    path = "/chat/completions"

    def __init__(self, output_limit: str) -> None:
        self._output_limit = output_limit

    def authorize(self, key: str) -> dict[str, str]:
        """Return the header that carries the key; none without a key."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def write(self, request: ChatRequest, model: str, *, stream: bool) -> dict[str, Any]:
        """Return the body of a request."""
        turns = [part for turn in request.messages for part in _write_turn(turn)]
        if request.system is not None:
            turns.insert(0, {"role": "system", "content": request.system})
        body: dict[str, Any] = {
            "model": model,
            "messages": turns,
            self._output_limit: request.max_tokens,
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": dict(tool.parameters),
                    },
                }
                for tool in request.tools
            ]
        if request.tool_choice:
            body["tool_choice"] = _write_choice(request.tool_choice)
        if request.top_p is not None:
            body["top_p"] = request.top_p
        if request.stop:
            body["stop"] = list(request.stop)
        if request.output_schema is not None:
            schema = {"name": "answer", "schema": dict(request.output_schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def read(self, body: bytes) -> ModelAnswer:
        """Return the answer that a body has.

        Raises:
            ReplyUnreadable: it is no chat completion, or does not tell the tokens that were used.
        """
        found = decode(body, _Completion)
        if not found.choices:
            raise ReplyUnreadable("sent an answer without a choice")
        message = found.choices[0].message
        calls = tuple(
            ToolCall(tool.function.name or "", tool.function.arguments or "{}", tool.id or "")
            for tool in message.tool_calls or ()
        )
        return ModelAnswer(
            text=message.content or message.refusal or "",
            model=found.model,
            usage=require_usage(_count(found.usage)),
            finish_reason=_read_finish(found.choices[0].finish_reason, message.refusal),
            tool_calls=calls,
        )

    def open_stream(self) -> "ChatCompletionStream":
        """Return the reader of one streamed answer."""
        return ChatCompletionStream()


class ChatCompletionStream(AnswerParts):
    """A chat completion in chunks, up to `[DONE]`."""

    end = "[DONE]"

    def __init__(self) -> None:
        super().__init__()
        self._finish = self._refusal = ""

    def read(self, event: ServerEvent) -> str:
        """Return the text that a chunk adds.

        Raises:
            ReplyUnreadable: it is no chunk of a chat completion, or reports an error.
        """
        if event.data.strip() == END:
            self.is_over = True
            return ""
        chunk = decode(event.data, _Chunk)
        if chunk.error is not None:
            raise ReplyUnreadable(f"reported an error in its answer: {describe_error(chunk.error)}")
        self.model = chunk.model or self.model
        if chunk.usage is not None:
            self.usage = _count(chunk.usage)
        return self._add(chunk.choices[0]) if chunk.choices else ""

    def finish(self) -> ModelAnswer:
        """Return the whole answer.

        Raises:
            ReplyUnreadable: it has no `[DONE]`, or does not tell the tokens that were used.
        """
        return self.join(_read_finish(self._finish, self._refusal))

    def _add(self, part: _Part) -> str:
        self._finish = part.finish_reason or self._finish
        self._refusal += part.delta.refusal or ""
        for tool in part.delta.tool_calls or ():
            self._add_tool(tool)
        return self.add_text(part.delta.content or part.delta.refusal or "")

    def _add_tool(self, tool: _Tool) -> None:
        identity, name, pieces = self.tools.get(tool.index, ("", "", []))
        pieces.append(tool.function.arguments or "")
        name = name or tool.function.name or ""
        self.tools[tool.index] = (identity or tool.id or "", name, pieces)
        self.has_begun = True


def _write_turn(turn: ChatMessage) -> Iterator[dict[str, Any]]:
    """Yield a turn's messages: each result of a tool is one of its own."""
    for result in turn.tool_results:
        yield {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
    if turn.tool_calls:
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
        yield {"role": turn.role, "content": turn.content or None, "tool_calls": calls}
    elif turn.content or not turn.tool_results:
        yield {"role": turn.role, "content": turn.content}


def _write_choice(choice: str) -> str | dict[str, Any]:
    kind, _, name = choice.partition(" ")
    if kind == "tool":
        return {"type": "function", "function": {"name": name}}
    return "required" if kind == "any" else kind


def describe_error(error: Any) -> str:
    """Return a provider's error object in words, at most 300 characters on one line."""
    if isinstance(error, dict):
        kind = str(error.get("type") or error.get("code") or "")
        message = str(error.get("message") or "")
        error = ": ".join(part for part in (kind, message) if part)
    return " ".join(str(error).split())[:300]


def _read_finish(reason: str | None, refusal: str | None) -> FinishReason:
    return "content_filter" if refusal else FINISHES.get(reason or "", "unknown")


def _count(usage: _Usage | None) -> TokenUsage:
    """Return the tokens; a server that counts more cached than sent tokens counts wrongly.

    Raises:
        ReplyUnreadable: it does.
    """
    if usage is None:
        return TokenUsage()
    details = usage.prompt_tokens_details or _Details()
    read, write = details.cached_tokens or 0, details.cache_write_tokens or 0
    if read + write > usage.prompt_tokens:
        raise ReplyUnreadable(
            f"counts {read + write} cached tokens of {usage.prompt_tokens} tokens of input"
        )
    rest = usage.prompt_tokens - read - write
    return TokenUsage(rest, usage.completion_tokens, cache_read=read, cache_write=write)

"""`POST /v1/chat/completions`, as clients of OpenAI speak it."""

from dataclasses import replace
from typing import Any, Literal

import msgspec

from serving.http.llm.asked import (
    AnswerStart,
    AnswerStream,
    LanguageAnswer,
    LanguageRequest,
)
from serving.http.llm.bodies import decode_json, read_error, write_event
from serving.http.llm.conversations import (
    BodyMessage,
    fill_prompt,
    read_arguments,
    read_text,
    require_one_answer,
)
from serving.http.replies import Reply
from serving.http.requests import Identifier
from sluice.errors import RequestInvalid
from sluice.prompts.chat import (
    ChatMessage,
    ChatRequest,
    FinishReason,
    ToolCall,
    ToolDefinition,
    ToolResult,
)

ALLOWED = (
    "allowed: model, messages, max_completion_tokens or max_tokens, temperature, top_p, stop, "
    "tools, tool_choice, response_format (json_schema), stream, stream_options (include_usage), "
    "user, n (1), and for a prompt: variables, context"
)
DEFAULT_TOKENS = 1024
"""Most tokens of an answer, for a request to a model itself that does not say."""
FINISHES: dict[FinishReason, str] = {"unknown": "stop"}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "insufficient_quota",
}


class _Function(msgspec.Struct):
    name: str
    arguments: str = "{}"


class _Call(msgspec.Struct):
    id: str
    function: _Function
    type: Literal["function"] = "function"


class _Message(BodyMessage, kw_only=True):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""


class _Definition(msgspec.Struct):
    name: str
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class _Tool(msgspec.Struct):
    function: _Definition
    type: Literal["function"] = "function"


class _Named(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct):
    function: _Named
    type: Literal["function"] = "function"


class _Schema(msgspec.Struct):
    schema: dict[str, Any] = msgspec.field(default_factory=dict)


class _Format(msgspec.Struct):
    type: Literal["text", "json_schema"]
    json_schema: _Schema | None = None


class _Options(msgspec.Struct):
    include_usage: bool = False


class CompletionBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a chat completion."""

    model: str
    messages: list[_Message] = []
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] = []
    tool_choice: Literal["auto", "none", "required"] | _Choice | None = None
    response_format: _Format | None = None
    stream: bool | None = False
    stream_options: _Options | None = None
    user: Identifier | None = None
    n: int = 1
    variables: dict[str, str] | str | None = None
    context: list[str] = []
    request_id: Identifier | None = None


_DECODER = msgspec.json.Decoder(CompletionBody)


class CompletionDialect:
    """Chat completions; a model that is named `prompt:NAME` is a prompt."""

    def read(self, body: bytes, name: str) -> LanguageRequest:
        """Return a request to the prompt or model that the body names.

        Raises:
            RequestInvalid: the body is none, or asks for what is not served here.
        """
        found = decode_json(_DECODER, body, ALLOWED)
        require_one_answer(found.n)
        options = found.stream_options or _Options()
        most = found.max_completion_tokens or found.max_tokens
        asked = LanguageRequest(
            name=found.model,
            context=tuple(found.context),
            request_id=found.request_id,
            unit=found.user,
            is_streamed=bool(found.stream),
            wants_usage=options.include_usage,
            most_tokens=most,
        )
        system, turns = _read_turns(found.messages)
        own = ("temperature", "top_p", "stop", "tools", "tool_choice", "response_format")
        given = [key for key in own if getattr(found, key)]
        if filled := fill_prompt(asked, found.variables, system, turns, given):
            return filled
        stop = [found.stop] if isinstance(found.stop, str) else found.stop or []
        chat = ChatRequest(
            model=found.model,
            messages=turns,
            max_tokens=DEFAULT_TOKENS if most is None else most,
            system=system or None,
            temperature=found.temperature,
            tools=tuple(
                ToolDefinition(
                    tool.function.name, tool.function.description, tool.function.parameters
                )
                for tool in found.tools
            ),
            output_schema=_read_schema(found.response_format),
            tool_choice=_read_choice(found.tool_choice),
            top_p=found.top_p,
            stop=tuple(stop),
        )
        return replace(asked, chat=chat)

    def write(self, answer: LanguageAnswer) -> Reply:
        """Return a whole answer."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.tool_calls:
            message["tool_calls"] = [_write_call(call) for call in answer.tool_calls]
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": _name_finish(answer.finish_reason),
            "logprobs": None,
        }
        body = _describe(answer.start, "chat.completion")
        usage = _count(answer)
        return Reply(200, msgspec.json.encode(body | {"choices": [choice], "usage": usage}))

    def open(self, start: AnswerStart, asked: LanguageRequest) -> AnswerStream:
        """Return the writer of a streamed answer."""
        return CompletionStream(start, asked.wants_usage)

    def explain(self, reply: Reply) -> Reply:
        """Return an error as OpenAI's clients read it; 422 is their 400."""
        message, request_id = read_error(reply)
        status = 400 if reply.status == 422 else reply.status
        kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        error = {"message": message, "type": kind, "param": None, "code": kind}
        body: dict[str, Any] = {"error": error}
        body |= {"request_id": request_id} if request_id else {}
        return Reply(status, msgspec.json.encode(body), reply.headers)


class CompletionStream:
    """Chunks of a chat completion, up to `[DONE]`."""

    def __init__(self, start: AnswerStart, wants_usage: bool) -> None:
        self._base = _describe(start, "chat.completion.chunk")
        self._wants_usage = wants_usage

    def begin(self) -> bytes:
        """Return the chunk with the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def write(self, piece: str) -> bytes:
        """Return a chunk with a piece of the text."""
        return self._chunk({"content": piece})

    def end(self, answer: LanguageAnswer) -> bytes:
        """Return the calls of tools, the reason of the end, the tokens if asked for, the mark."""
        parts = []
        if answer.tool_calls:
            calls = [
                {"index": place, **_write_call(call)}
                for place, call in enumerate(answer.tool_calls)
            ]
            parts.append(self._chunk({"tool_calls": calls}))
        parts.append(self._chunk({}, _name_finish(answer.finish_reason)))
        if self._wants_usage:
            parts.append(write_event(self._base | {"choices": [], "usage": _count(answer)}))
        return b"".join((*parts, b"data: [DONE]\n\n"))

    def fail(self, reply: Reply) -> bytes:
        """Return an error; without the mark of the end no client takes the answer for whole."""
        return b"data: %s\n\n" % reply.body

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return write_event(self._base | {"choices": [choice]})


def _read_turns(messages: list[_Message]) -> tuple[str, tuple[ChatMessage, ...]]:
    """Return the system's text and the turns; results of tools go into the turn behind them."""
    system, turns = list[str](), list[ChatMessage]()
    results = list[ToolResult]()
    for place, message in enumerate(messages):
        text = read_text(message.content, f"messages.{place}.content")
        if message.role in ("system", "developer"):
            if turns or results:
                raise RequestInvalid(
                    f"messages.{place}.role: found {message.role}; allowed: at the beginning"
                )
            system.append(text)
        elif message.role == "tool":
            results.append(ToolResult(message.tool_call_id, text))
        else:
            role: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
            if results and role == "assistant":
                turns.append(ChatMessage("user", "", (), tuple(results)))
                results = []
            calls = tuple(
                ToolCall(
                    call.function.name,
                    read_arguments(call.function.arguments, f"messages.{place}.tool_calls"),
                    call.id,
                )
                for call in message.tool_calls or ()
            )
            turns.append(ChatMessage(role, text, calls, tuple(results)))
            results = []
    if results:
        turns.append(ChatMessage("user", "", (), tuple(results)))
    return "\n\n".join(system), tuple(turns)


def _read_schema(found: _Format | None) -> dict[str, Any] | None:
    if found is None or found.type == "text":
        return None
    return found.json_schema.schema if found.json_schema else {}


def _read_choice(found: Any) -> str:
    if isinstance(found, _Choice):
        return f"tool {found.function.name}"
    return {"required": "any"}.get(found, found) if found else ""


def _describe(start: AnswerStart, kind: str) -> dict[str, Any]:
    return {"id": start.request_id, "object": kind, "created": start.at, "model": start.name}


def _name_finish(reason: FinishReason) -> str:
    return FINISHES.get(reason, reason)


def _write_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _count(answer: LanguageAnswer) -> dict[str, Any]:
    usage = answer.usage
    sent = (usage.input or 0) + usage.cache_read + usage.cache_write
    return {
        "prompt_tokens": sent,
        "completion_tokens": usage.output or 0,
        "total_tokens": sent + (usage.output or 0),
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
    }

"""`POST /v1/messages`, as clients of Anthropic speak it."""

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
from serving.http.llm.conversations import BodyMessage, fill_prompt, read_text
from serving.http.replies import Reply
from serving.http.requests import Identifier
from sluice.documents import parse_json
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
    "allowed: model, messages, max_tokens, system, temperature, top_p, stop_sequences, tools, "
    "tool_choice, output_config (json_schema), stream, metadata (user_id), and for a prompt: "
    "variables, context"
)
STOPS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "unknown": "end_turn",
}
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class _Message(BodyMessage, kw_only=True):
    role: Literal["user", "assistant"]


class _Tool(msgspec.Struct):
    name: str
    input_schema: dict[str, Any]
    description: str = ""
    type: Literal["custom"] | None = None


class _Choice(msgspec.Struct):
    type: Literal["auto", "any", "none", "tool"]
    name: str = ""


class _Metadata(msgspec.Struct):
    user_id: Identifier | None = None


class _Format(msgspec.Struct):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class _Config(msgspec.Struct):
    format: _Format | None = None


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a message."""

    model: str
    max_tokens: int
    messages: list[_Message] = []
    system: str | list[dict[str, Any]] | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] = []
    tools: list[_Tool] = []
    tool_choice: _Choice | None = None
    output_config: _Config | None = None
    stream: bool = False
    metadata: _Metadata | None = None
    variables: dict[str, str] | str | None = None
    context: list[str] = []
    request_id: Identifier | None = None


_DECODER = msgspec.json.Decoder(MessageBody)


class MessageDialect:
    """Messages; a model that is named `prompt:NAME` is a prompt."""

    def read(self, body: bytes, name: str) -> LanguageRequest:
        """Return a request to the prompt or model that the body names.

        Raises:
            RequestInvalid: the body is none, or asks for what is not served here.
        """
        found = decode_json(_DECODER, body, ALLOWED)
        asked = LanguageRequest(
            name=found.model,
            context=tuple(found.context),
            request_id=found.request_id,
            unit=found.metadata.user_id if found.metadata else None,
            is_streamed=found.stream,
            most_tokens=found.max_tokens,
        )
        turns = tuple(
            _read_turn(message, f"messages.{place}") for place, message in enumerate(found.messages)
        )
        system = read_text(found.system, "system")
        own = ("temperature", "top_p", "stop_sequences", "tools", "tool_choice", "output_config")
        given = [key for key in own if getattr(found, key)]
        if filled := fill_prompt(asked, found.variables, system, turns, given):
            return filled
        schema = found.output_config.format if found.output_config else None
        chat = ChatRequest(
            model=found.model,
            messages=turns,
            max_tokens=found.max_tokens,
            system=system or None,
            temperature=found.temperature,
            tools=tuple(
                ToolDefinition(tool.name, tool.description, tool.input_schema)
                for tool in found.tools
            ),
            output_schema=schema.schema if schema else None,
            tool_choice=_read_choice(found.tool_choice),
            top_p=found.top_p,
            stop=tuple(found.stop_sequences),
        )
        return replace(asked, chat=chat)

    def write(self, answer: LanguageAnswer) -> Reply:
        """Return a whole answer."""
        blocks: list[dict[str, Any]] = []
        if answer.text:
            blocks.append({"type": "text", "text": answer.text})
        blocks += [_write_tool(call) for call in answer.tool_calls]
        facts = {"content": blocks, "stop_reason": STOPS[answer.finish_reason]}
        body = _describe(answer.start) | facts | {"usage": _count(answer)}
        return Reply(200, msgspec.json.encode(body))

    def open(self, start: AnswerStart, asked: LanguageRequest) -> AnswerStream:
        """Return the writer of a streamed answer."""
        return MessageEvents(start)

    def explain(self, reply: Reply) -> Reply:
        """Return an error as Anthropic's clients read it; 422 is their 400."""
        message, request_id = read_error(reply)
        status = 400 if reply.status == 422 else reply.status
        kind = TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        body: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": message}}
        body |= {"request_id": request_id} if request_id else {}
        return Reply(status, msgspec.json.encode(body), reply.headers)


class MessageEvents:
    """A message in events, up to `message_stop`."""

    def __init__(self, start: AnswerStart) -> None:
        self._start, self._has_text = start, False

    def begin(self) -> bytes:
        """Return the event that opens the message; its tokens are told at the end."""
        usage = {"input_tokens": 0, "output_tokens": 0}
        message = _describe(self._start) | {"content": [], "stop_reason": None, "usage": usage}
        return write_event({"type": "message_start", "message": message}, "message_start")

    def write(self, piece: str) -> bytes:
        """Return a piece of the text, in a block that begins with the first one."""
        delta = {"type": "text_delta", "text": piece}
        part = _event("content_block_delta", index=0, delta=delta)
        if self._has_text:
            return part
        self._has_text = True
        return _open_block(0, {"type": "text", "text": ""}) + part

    def end(self, answer: LanguageAnswer) -> bytes:
        """Return the calls of tools, the reason of the end and the tokens, and the end."""
        parts = [_event("content_block_stop", index=0)] if self._has_text else []
        for index, call in enumerate(answer.tool_calls, int(self._has_text)):
            delta: dict[str, Any] = {"type": "input_json_delta", "partial_json": call.arguments}
            parts.append(_open_block(index, _write_tool(call) | {"input": {}}))
            parts.append(_event("content_block_delta", index=index, delta=delta))
            parts.append(_event("content_block_stop", index=index))
        end = {"stop_reason": STOPS[answer.finish_reason], "stop_sequence": None}
        parts.append(_event("message_delta", delta=end, usage=_count(answer)))
        return b"".join((*parts, _event("message_stop")))

    def fail(self, reply: Reply) -> bytes:
        """Return an error in the middle."""
        return b"event: error\ndata: %s\n\n" % reply.body


def _read_turn(message: _Message, place: str) -> ChatMessage:
    """Return a turn with its text, its calls of tools, and their results.

    Raises:
        RequestInvalid: it has a block of another type.
    """
    if not isinstance(message.content, list):
        return ChatMessage(message.role, message.content or "")
    texts, calls, results = list[str](), list[ToolCall](), list[ToolResult]()
    for number, block in enumerate(message.content):
        kind, where = block.get("type"), f"{place}.content.{number}"
        if kind == "tool_use":
            arguments = msgspec.json.encode(block.get("input") or {}).decode()
            calls.append(ToolCall(str(block.get("name")), arguments, str(block.get("id"))))
        elif kind == "tool_result":
            content = read_text(block.get("content"), f"{where}.content")
            results.append(ToolResult(str(block.get("tool_use_id")), content))
        elif kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        else:
            allowed = "'text', 'tool_use' or 'tool_result'"
            raise RequestInvalid(f"{where}.type: found {kind!r}; allowed: {allowed}")
    return ChatMessage(message.role, "".join(texts), tuple(calls), tuple(results))


def _read_choice(found: _Choice | None) -> str:
    if found is None:
        return ""
    return f"tool {found.name}" if found.type == "tool" else found.type


def _describe(start: AnswerStart) -> dict[str, Any]:
    return {
        "id": start.request_id,
        "type": "message",
        "role": "assistant",
        "model": start.name,
        "stop_sequence": None,
    }


def _open_block(index: int, block: dict[str, Any]) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _event(name: str, **values: Any) -> bytes:
    return write_event({"type": name, **values}, name)


def _write_tool(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = parse_json(call.arguments)
    except ValueError:  # a model may write anything
        arguments = {"_": call.arguments}
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _count(answer: LanguageAnswer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.input or 0,
        "output_tokens": usage.output or 0,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
    }

"""Bodies and events of both dialects, as their documentation has them."""

import json
from collections.abc import Iterator
from typing import Any

from support.llm.answers import AskedRequest, FakeAnswer, write_usage

CREATED = 1_790_000_000


def write_error(dialect: str, answer: FakeAnswer) -> dict[str, Any]:
    error = {"type": answer.code, "message": answer.message}
    return {"type": "error", "error": error} if dialect == "anthropic" else {"error": error}


def write_body(asked: AskedRequest, answer: FakeAnswer) -> dict[str, Any]:
    write = write_message if asked.dialect == "anthropic" else write_completion
    return write(asked, answer)


def write_message(asked: AskedRequest, answer: FakeAnswer) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    for tool in answer.tools:
        values = json.loads(tool.arguments)
        blocks.append({"type": "tool_use", "id": tool.id, "name": tool.name, "input": values})
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": answer.model or asked.body["model"],
        "content": blocks,
        "stop_reason": _stop_reason(answer),
        "stop_sequence": None,
    }
    if answer.fault != "no_usage":
        body["usage"] = write_usage("anthropic", answer)
    return body


def write_completion(asked: AskedRequest, answer: FakeAnswer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.tools:
        message["tool_calls"] = [_write_tool(tool) for tool in answer.tools]
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(answer)}
    body = _open_completion(asked, answer, "chat.completion") | {"choices": [choice]}
    if answer.fault != "no_usage":
        body["usage"] = write_usage("openai", answer)
    return body


def write_events(asked: AskedRequest, answer: FakeAnswer) -> Iterator[bytes]:
    """Yield the events of a streamed answer, the last one of which ends it."""
    if asked.dialect == "anthropic":
        for event in _write_message_events(asked, answer):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    else:
        for chunk in _write_chunks(asked, answer):
            yield f"data: {json.dumps(chunk)}\n\n".encode()
        yield b"data: [DONE]\n\n"


def _write_message_events(asked: AskedRequest, answer: FakeAnswer) -> Iterator[dict[str, Any]]:
    message = write_message(asked, answer) | {"content": [], "stop_reason": None}
    if "usage" in message:
        message["usage"] = message["usage"] | {"output_tokens": 1}
    else:
        message["usage"] = {"input_tokens": answer.input_tokens, "output_tokens": 1}
    yield {"type": "message_start", "message": message}
    yield {"type": "ping"}
    index = 0
    if answer.text:
        yield _start_block(index, {"type": "text", "text": ""})
        for piece in answer.pieces:
            yield _add_to_block(index, {"type": "text_delta", "text": piece})
        yield {"type": "content_block_stop", "index": index}
        index += 1
    for place, tool in enumerate(answer.tools, index):
        block = {"type": "tool_use", "id": tool.id, "name": tool.name, "input": {}}
        yield _start_block(place, block)
        half = len(tool.arguments) // 2
        for part in (tool.arguments[:half], tool.arguments[half:]):
            yield _add_to_block(place, {"type": "input_json_delta", "partial_json": part})
        yield {"type": "content_block_stop", "index": place}
    end: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None},
    }
    if answer.fault != "no_usage":
        end["usage"] = {"output_tokens": write_usage("anthropic", answer)["output_tokens"]}
    yield end
    yield {"type": "message_stop"}


def _write_chunks(asked: AskedRequest, answer: FakeAnswer) -> Iterator[dict[str, Any]]:
    opened = _open_completion(asked, answer, "chat.completion.chunk")

    def add(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return opened | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield add({"role": "assistant", "content": ""})
    for piece in answer.pieces if answer.text else ():
        yield add({"content": piece})
    for place, tool in enumerate(answer.tools):
        first = _write_tool(tool) | {"index": place}
        half = len(tool.arguments) // 2
        first["function"] = {"name": tool.name, "arguments": tool.arguments[:half]}
        yield add({"tool_calls": [first]})
        rest = {"index": place, "function": {"arguments": tool.arguments[half:]}}
        yield add({"tool_calls": [rest]})
    yield add({}, _finish_reason(answer))
    wants = asked.body.get("stream_options", {}).get("include_usage")
    if wants and answer.fault != "no_usage":
        yield opened | {"choices": [], "usage": write_usage("openai", answer)}


def _open_completion(asked: AskedRequest, answer: FakeAnswer, kind: str) -> dict[str, Any]:
    model = answer.model or asked.body["model"]
    return {"id": "chatcmpl-1", "object": kind, "created": CREATED, "model": model}


def _write_tool(tool: Any) -> dict[str, Any]:
    function = {"name": tool.name, "arguments": tool.arguments}
    return {"id": tool.id, "type": "function", "function": function}


def _start_block(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _add_to_block(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _stop_reason(answer: FakeAnswer) -> str:
    if answer.tools:
        return "tool_use"
    return {"stop": "end_turn", "length": "max_tokens"}[answer.finish]


def _finish_reason(answer: FakeAnswer) -> str:
    return "tool_calls" if answer.tools else answer.finish

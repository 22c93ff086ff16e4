"""`POST /v1/prompts/NAME`: variables in, a text or a stream of events out."""

from typing import Any

import msgspec

from serving.http.llm.asked import AnswerStart, AnswerStream, LanguageAnswer, LanguageRequest
from serving.http.llm.bodies import decode_json, write_event
from serving.http.replies import Reply
from serving.http.requests import Identifier

ALLOWED = (
    "allowed: variables (a text for each placeholder; a text where there is one), context (a list "
    "of passages), stream, request_id and unit"
)


class PromptBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to a prompt."""

    variables: dict[str, str] | str = msgspec.field(default_factory=dict)
    context: list[str] = []
    stream: bool = False
    request_id: Identifier | None = None
    unit: Identifier | None = None


_DECODER = msgspec.json.Decoder(PromptBody)


class PlainDialect:
    """The gateway's own way: the same facts as in a reply of a model."""

    def read(self, body: bytes, name: str) -> LanguageRequest:
        """Return a request to a prompt.

        Raises:
            RequestInvalid: the body is none.
        """
        found = decode_json(_DECODER, body, ALLOWED)
        return LanguageRequest(
            name=name,
            prompt=name,
            variables=found.variables,
            context=tuple(found.context),
            request_id=found.request_id,
            unit=found.unit,
            is_streamed=found.stream,
        )

    def write(self, answer: LanguageAnswer) -> Reply:
        """Return a whole answer."""
        return Reply(200, msgspec.json.encode(_describe(answer) | {"text": answer.text}))

    def open(self, start: AnswerStart, asked: LanguageRequest) -> AnswerStream:
        """Return the writer of a streamed answer."""
        return PlainStream(start)

    def explain(self, reply: Reply) -> Reply:
        """Return the error as it is."""
        return reply


class PlainStream:
    """Events `start`, `text`, then `end`, or `error`."""

    def __init__(self, start: AnswerStart) -> None:
        self._start = start

    def begin(self) -> bytes:
        """Return the event that says who answers."""
        return write_event(_describe_start(self._start), "start")

    def write(self, piece: str) -> bytes:
        """Return a piece of the text."""
        return write_event({"text": piece}, "text")

    def end(self, answer: LanguageAnswer) -> bytes:
        """Return the event with everything but the text."""
        return write_event(_describe(answer), "end")

    def fail(self, reply: Reply) -> bytes:
        """Return an error in the middle."""
        return b"event: error\ndata: %s\n\n" % reply.body


def _describe_start(start: AnswerStart) -> dict[str, Any]:
    return {
        "request_id": start.request_id,
        "service": start.service,
        "version": start.version,
        "arm": start.arm,
    }


def _describe(answer: LanguageAnswer) -> dict[str, Any]:
    usage = answer.usage
    facts: dict[str, Any] = {
        **_describe_start(answer.start),
        "model": answer.model,
        "provider": answer.provider,
        "finish_reason": answer.finish_reason,
        "usage": {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_read_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "cost": answer.cost,
    }
    if answer.tool_calls:
        facts["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in answer.tool_calls
        ]
    if answer.unit is not None:
        facts["unit"] = answer.unit
    if answer.is_fallback:
        facts["fallback"] = True
    if answer.guardrails:
        facts["guardrails"] = list(answer.guardrails)
    return facts

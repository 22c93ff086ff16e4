"""The spans of one request to a prompt or a model: its own, and one of each call of a model."""

from typing import TYPE_CHECKING

from serving.llm.calls import PromptCall
from sluice.adapters.telemetry.tracing import Tracer
from sluice.traces import (
    ARM,
    COST,
    FINISH_REASONS,
    FIRST_CHUNK,
    INPUT_TOKENS,
    OPERATION,
    OUTPUT_TOKENS,
    PROVIDER,
    REQUEST_ID,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    SERVICE,
    VERSION,
    TraceParent,
)

if TYPE_CHECKING:  # a gateway of models imports none of it
    from sluice.adapters.llm.transport import CallTrace

CHAT = "chat"
"""The operation, as the conventions name it."""


class RequestTrace:
    """Begins the spans of a request, and sends them at its end; without a tracer there are none.

    The trace of the caller is passed on to the provider all the same.
    """

    def __init__(self, tracer: Tracer | None, parent: TraceParent | None, service: str) -> None:
        self._tracer, self._parent, self._service = tracer, parent, service
        self._span = tracer.begin(f"{CHAT} {service}", parent) if tracer else None

    def open_call(self, trace: "CallTrace", model: str) -> None:
        """Let a call of a model belong to the request, and its provider know it."""
        if self._tracer is None or self._span is None:
            trace.traceparent = self._parent.header if self._parent else ""
            return
        trace.span = self._tracer.begin(f"{CHAT} {model}", self._span.place, "client")
        if trace.span is not None:
            trace.span.attributes |= {OPERATION: CHAT, REQUEST_MODEL: model}
            trace.traceparent = trace.span.place.header

    def end(self, request_id: str, version: int, arm: str, *calls: PromptCall) -> None:
        """Send the spans of the request and of its calls, as far as a provider was asked."""
        if self._tracer is None or self._span is None:
            return
        span, self._span = self._span, None
        for call in calls:
            if call.trace.span is not None and call.trace.attempts:
                _describe(call)
                self._tracer.end(call.trace.span)
        span.attributes |= {SERVICE: self._service, REQUEST_ID: request_id, ARM: arm}
        span.attributes |= {VERSION: version} if version else {}
        span.error = calls[-1].reason if calls and calls[-1].failed else ""
        self._tracer.end(span)


def _describe(call: PromptCall) -> None:
    """Give a call's span what is known of its answer, and no text of it."""
    span, reply, usage = call.trace.span, call.reply, call.usage
    if span is None:
        return
    if usage.input is not None:
        span.attributes[INPUT_TOKENS] = usage.input + usage.cache_read + usage.cache_write
    if usage.output is not None:
        span.attributes[OUTPUT_TOKENS] = usage.output
    if call.first_byte_ms is not None:
        span.attributes[FIRST_CHUNK] = call.first_byte_ms / 1000
    if reply is not None:
        span.attributes |= {RESPONSE_MODEL: reply.model, PROVIDER: reply.provider}
        span.attributes[FINISH_REASONS] = (reply.finish_reason,)
        span.attributes |= {} if reply.cost is None else {COST: reply.cost}
    span.error = call.reason if call.failed else ""

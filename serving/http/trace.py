"""The trace of a request, from the header `traceparent` of W3C Trace Context.

Source: https://www.w3.org/TR/trace-context-1/, section 3.2.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sluice.adapters.telemetry.tracing import Tracer
from sluice.traces import SERVICE, TraceParent, read_parent

HEADER = b"traceparent"


def read_trace(headers: Iterable[tuple[bytes, bytes]]) -> TraceParent | None:
    """Return the caller's span that a request belongs to; None where it names no valid one.

    As the standard says, a header that is not valid counts as none, and so do two of them. A later
    version of the standard may append fields.
    """
    found = [value for name, value in headers if name == HEADER]
    return read_parent(found[0].decode("latin-1")) if len(found) == 1 else None


def read_trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return a request's trace id, 32 hexadecimal digits; None where it has no valid one."""
    trace = read_trace(headers)
    return trace.trace_id if trace else None


@contextmanager
def trace_prediction(tracer: Tracer, parent: TraceParent | None, service: str) -> Iterator[None]:
    """Send a span of a prediction, which ends with the block, where it is sampled."""
    span = tracer.begin(f"predict {service}", parent)
    if span is None:
        yield
        return
    span.attributes[SERVICE] = service
    try:
        yield
    except Exception as error:
        span.error = type(error).__name__
        raise
    finally:
        tracer.end(span)

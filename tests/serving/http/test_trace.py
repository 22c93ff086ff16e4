"""The trace of a request is the one that W3C Trace Context gives it."""

import pytest

from serving.http.trace import read_trace, read_trace_id, trace_prediction
from sluice.adapters.telemetry.tracing import Tracer
from sluice.traces import TraceSpan

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"


def read(*values: str) -> str | None:
    others = [(b"host", b"127.0.0.1"), (b"tracestate", b"a=b")]
    return read_trace_id([*others, *((b"traceparent", value.encode()) for value in values)])


@pytest.mark.parametrize("value", [GOOD, f" {GOOD} ", f"01-{TRACE}-{PARENT}-00-more"])
def test_valid_header_names_the_trace(value: str) -> None:
    assert read(value) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "words",
        GOOD.upper(),
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"{GOOD}-more",
        f"{GOOD}\n{GOOD}",
    ],
)
def test_header_that_is_not_valid_counts_as_none(value: str) -> None:
    assert read(value) is None


def test_no_header_and_two_headers_are_no_trace() -> None:
    assert read() is None
    assert read(GOOD, GOOD) is None


def test_a_prediction_is_a_span_below_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[TraceSpan] = []
    tracer = Tracer("http://127.0.0.1:1/v1/traces", {}, 1.0, "sluice")
    monkeypatch.setattr(tracer, "end", sent.append)
    parent = read_trace([(b"traceparent", GOOD.encode())])
    with trace_prediction(tracer, parent, "employment"):
        pass
    with pytest.raises(ValueError, match="secret"), trace_prediction(tracer, parent, "employment"):
        raise ValueError("a secret")
    assert [(span.name, span.trace_id, span.parent, span.error) for span in sent] == [
        ("predict employment", TRACE, PARENT, ""),
        ("predict employment", TRACE, PARENT, "ValueError"),
    ]
    unsampled = read_trace([(b"traceparent", GOOD.replace("-01", "-00").encode())])
    with trace_prediction(tracer, unsampled, "employment"):
        pass
    assert len(sent) == 2

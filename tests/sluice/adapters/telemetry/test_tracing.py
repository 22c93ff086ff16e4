"""Spans by OTLP over HTTP: names, parents, sampling, and a collector that is away."""

import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.schemas import Schemas

from sluice import traces
from sluice.adapters.telemetry import tracing
from sluice.adapters.telemetry.tracing import Tracer, read_tracer, trace_work
from sluice.errors import ConfigInvalid
from sluice.traces import TraceParent, read_parent
from support.collector import Collector, read_attributes, run_collector

PARENT = TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def open_tracer(collector: Collector, **variables: str) -> Tracer:
    found = read_tracer({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **variables})
    assert found is not None
    return found


def test_the_names_are_those_of_the_conventions() -> None:
    ours = {value for value in vars(traces).values() if str(value).startswith("gen_ai.")}
    theirs = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI")}
    assert ours <= theirs
    assert Schemas.V1_44_0.value == traces.SCHEMA_URL


def test_spans_arrive_with_names_parents_and_attributes() -> None:
    with run_collector() as collector:
        tracer = open_tracer(
            collector,
            OTEL_EXPORTER_OTLP_HEADERS="x-team=a%20b,authorization=Bearer t",
            OTEL_SERVICE_NAME="shop",
        )
        first = tracer.begin("chat greet", PARENT)
        assert first is not None
        second = tracer.begin("chat claude", first.place, "client")
        assert second is not None
        second.attributes |= {"a": 1, "b": 0.5, "c": ("x", "y")}
        second.error = "timeout"
        tracer.end(second)
        tracer.end(first)
        tracer.close()
    outer, inner = collector.find("chat greet"), collector.find("chat claude")
    assert outer.trace_id.hex() == inner.trace_id.hex() == PARENT.trace_id
    assert outer.parent_span_id.hex() == PARENT.span_id
    assert inner.parent_span_id == outer.span_id
    assert (outer.kind, inner.kind) == (2, 3)
    assert outer.start_time_unix_nano <= outer.end_time_unix_nano
    assert read_attributes(inner) == {"a": 1, "b": 0.5, "c": ["x", "y"], "error.type": "timeout"}
    assert (inner.status.code, outer.status.code) == (2, 0)
    assert collector.headers[0]["x-team"] == "a b"
    assert collector.headers[0]["path"] == "/v1/traces"
    assert b"shop" in collector.bodies[0]


def test_the_callers_choice_to_sample_goes_before_the_share() -> None:
    with run_collector() as collector:
        none = open_tracer(collector, OTEL_TRACES_SAMPLER_ARG="0")
        assert none.begin("x", None) is None
        assert none.begin("x", PARENT) is not None
        every = open_tracer(collector)
        assert every.begin("x", None) is not None
        assert every.begin("x", TraceParent(PARENT.trace_id, PARENT.span_id, False)) is None


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://x:4317"}, "found 'grpc://x:4317/v1/traces'"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_SAMPLER_ARG": "2"},
            "found '2'; allowed: a number from 0 to 1",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_SAMPLER_ARG": "nan"},
            "found 'nan'",
        ),
    ],
)
def test_a_wrong_environment_is_refused_by_name(variables: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigInvalid, match="OTEL_") as caught:
        read_tracer(variables)
    assert words in str(caught.value)


def test_a_collector_that_is_away_is_told_once_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with run_collector(status=503) as collector, caplog.at_level(logging.WARNING, "sluice.traces"):
        tracer = open_tracer(collector)
        for _ in range(3):
            span = tracer.begin("x", None)
            assert span is not None
            tracer.end(span)
        tracer.close()
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "the collector answers 503"
    ]


def test_the_work_of_a_block_is_a_span_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_collector() as collector:
        tracer = open_tracer(collector)
        monkeypatch.setattr(tracing, "find_tracer", lambda: tracer)
        with pytest.raises(KeyError), trace_work("flow release", {"sluice.flow": "release"}):
            raise KeyError("secret text")
        tracer.close()
    span: Any = collector.find("flow release")
    assert read_attributes(span) == {"sluice.flow": "release", "error.type": "KeyError"}
    assert b"secret text" not in collector.bodies[0]


def test_without_a_collector_nothing_is_made_or_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_tracer({}) is None
    monkeypatch.setattr(tracing, "find_tracer", lambda: None)
    with trace_work("flow release", {}) as span:
        assert span is None
    code = (
        "import sys, sluice.adapters.telemetry.tracing as t; assert t.find_tracer() is None; "
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'google', 'urllib.req'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("flags", ["01", "00"])
def test_a_header_is_read_as_it_was_written(flags: str) -> None:
    header = f"00-{PARENT.trace_id}-{PARENT.span_id}-{flags}"
    read = read_parent(header)
    assert read == TraceParent(PARENT.trace_id, PARENT.span_id, flags == "01")
    assert read.header == header

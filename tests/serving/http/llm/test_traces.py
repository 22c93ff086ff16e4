"""A request's trace: taken in, passed on to the provider, and sent without any text."""

from collections.abc import Iterator

import pytest

from support.collector import Collector, read_attributes, run_collector
from support.gateway.site import Running, wait_until
from support.llm.answers import FakeAnswer
from support.llm.live import PromptSite, run_prompts
from support.llm.provider import FakeProvider

pytestmark = pytest.mark.slow
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with run_collector() as found:
        yield found


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, shared_provider: FakeProvider, collector: Collector
) -> Iterator[Running]:
    site = PromptSite(tmp_path_factory.mktemp("traced"), shared_provider)
    site.publish()
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER_ARG": "0"}
    with run_prompts(site, **variables) as running:
        running.await_champion("greet")
        yield running
        assert running.end() == 0


def ask(running: Running, request_id: str, **headers: str) -> int:
    body = {"variables": "Ada Secretname", "request_id": request_id}
    return running.ask("/v1/prompts/greet", body, headers=headers).status


def test_a_request_has_two_spans_and_the_provider_gets_the_inner_one(
    traced: Running, provider: FakeProvider, collector: Collector
) -> None:
    provider.reset(FakeAnswer("Hello, Secretname.", input_tokens=9, output_tokens=4))
    assert ask(traced, "r1", traceparent=HEADER) == 200
    wait_until(lambda: len(collector.spans) >= 2, 10)
    outer, inner = collector.find("chat greet"), collector.find("chat claude")
    assert (outer.trace_id.hex(), outer.parent_span_id.hex()) == (TRACE, PARENT)
    assert inner.parent_span_id == outer.span_id
    passed = provider.asked[0].headers["traceparent"]
    assert passed == f"00-{TRACE}-{inner.span_id.hex()}-01"
    found = read_attributes(inner)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == "claude"
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (9, 4)
    assert read_attributes(outer)["sluice.request_id"] == "r1"
    assert b"Secretname" not in b"".join(collector.bodies)


def test_a_request_that_is_not_sampled_passes_its_trace_on(
    traced: Running, provider: FakeProvider, collector: Collector
) -> None:
    before = len(collector.spans)
    unsampled = HEADER.replace("-01", "-00")
    assert ask(traced, "r2", traceparent=unsampled) == 200
    assert ask(traced, "r3") == 200
    assert provider.asked[0].headers["traceparent"] == unsampled
    assert "traceparent" not in provider.asked[1].headers
    assert len(collector.spans) == before


def test_a_call_that_failed_says_why_in_a_word(
    traced: Running, provider: FakeProvider, collector: Collector
) -> None:
    provider.reset(FakeAnswer(fault="status", status=400, message="Secretname is not known"))
    before = len(collector.spans)
    assert ask(traced, "r4", traceparent=HEADER) == 502
    wait_until(lambda: len(collector.spans) >= before + 2, 10)
    errors = {read_attributes(span).get("error.type") for span in collector.spans[before:]}
    assert errors == {"refused"}
    assert b"Secretname" not in b"".join(collector.bodies)

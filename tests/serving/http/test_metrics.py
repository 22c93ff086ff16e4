"""The metrics as the Prometheus client reads them."""

from prometheus_client.parser import text_string_to_metric_families

from serving.http.metrics import render_counters, render_gauges
from serving.log.counters import Counters
from serving.log.records import AssignedArm
from support.gateway.records import make_answer, make_shadow


def read(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return each sample's value by name and label values."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def make_counters() -> Counters:
    counters = Counters()
    for number in range(200):
        failed = number % 10 == 0
        counters.apply(
            make_answer(number, epoch=number % 3, latency_ms=0.5 * number, failed=failed)
        )
    counters.apply(make_answer(arm=AssignedArm.NONE, stages=(0.5,)))
    counters.apply(make_shadow(differs=True))
    return counters


def test_every_family_is_described_and_typed() -> None:
    families = list(text_string_to_metric_families(render_counters(make_counters())))
    assert {family.type for family in families} == {"counter", "histogram"}
    assert all(family.documentation and family.samples for family in families)


def test_counts_are_summed_over_epochs() -> None:
    found = read(render_counters(make_counters()))
    labels = ("employment", "3", "champion")
    assert found["sluice_requests_total"][labels] == 200
    assert found["sluice_failures_total"][labels] == 20
    assert found["sluice_requests_total"]["employment", "3", "none"] == 1
    assert found["sluice_differing_total"]["employment", "4", "candidate"] == 1


def test_histogram_is_cumulative_and_exact_at_its_edges() -> None:
    found = read(render_counters(make_counters()))
    buckets = {
        float(labels[-1]): value
        for labels, value in found["sluice_latency_seconds_bucket"].items()
        if labels[2] == "champion"
    }
    latencies = [0.0005 * number for number in range(200) if number % 10]
    assert buckets == {
        edge: sum(latency <= edge * (1 + 1e-9) for latency in latencies) for edge in sorted(buckets)
    }
    labels = ("employment", "3", "champion")
    assert found["sluice_latency_seconds_count"][labels] == len(latencies)
    assert round(found["sluice_latency_seconds_sum"][labels] - sum(latencies), 6) == 0


def test_labels_are_escaped() -> None:
    text = render_gauges("sluice_weight", "Weight.", {(("reason", 'a "b"\\\nc'),): 0.25})
    assert read(text) == {"sluice_weight": {('a "b"\\\nc',): 0.25}}


def test_what_language_models_took_and_guardrails_found_is_exported_by_arm() -> None:
    counters = make_counters()
    assert "sluice_first_byte" not in render_counters(counters)
    hits = ("input:iban:flag", "output:email:mask")
    counters.apply(make_answer(1, input_tokens=12, output_tokens=5, first_byte_ms=500.0, hits=hits))
    found = read(render_counters(counters))
    labels = ("employment", "3", "champion")
    assert found["sluice_input_tokens_total"][labels] == 12
    assert found["sluice_output_tokens_total"][labels] == 5
    assert found["sluice_first_byte_seconds_count"][labels] == 1
    assert found["sluice_first_byte_seconds_sum"][labels] == 0.5
    rules = found["sluice_guardrail_rule_hits_total"]
    assert rules[*labels, "output", "email", "mask"] == 1
    assert rules[*labels, "input", "iban", "flag"] == 1

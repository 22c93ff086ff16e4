"""Which arm a record counts for, and what is not counted."""

from typing import Any

import pytest

from serving.log.counters import EPOCHS, NO_STAGE, ArmCounts, Counters, Key
from serving.log.records import AssignedArm, Feedback, Record
from sluice.rollout.collection import build_readings
from sluice.rollout.facts import Arm
from sluice.rollout.latency import bucket_of
from support.gateway.records import AT, make_answer, make_shadow

CANDIDATE, CHAMPION, NONE = AssignedArm.CANDIDATE, AssignedArm.CHAMPION, AssignedArm.NONE


def count(*records: Record) -> Counters:
    counters = Counters()
    for record in records:
        counters.apply(record)
    return counters


def find(
    counters: Counters, arm: AssignedArm, version: int = 3, stage: float = NO_STAGE
) -> ArmCounts:
    return counters.counts[Key("employment", version, arm, 5, stage)]


def test_fallback_counts_against_the_assigned_arm() -> None:
    failed = make_answer(arm=CANDIDATE, arm_version=4, version=3, failed=True, fallback=True)
    counters = count(failed)
    assert list(counters.counts) == [Key("employment", 4, CANDIDATE, 5)]
    assert find(counters, CANDIDATE, 4) == ArmCounts(requests=1, failures=1, fallbacks=1)


def test_latency_falls_in_the_bucket_of_the_decisions() -> None:
    counts = find(count(make_answer(latency_ms=7.3)), CHAMPION)
    assert counts.latencies == {bucket_of(7.3): 1}
    assert counts.latency_us == 7300


def test_arm_none_is_counted_separately() -> None:
    counters = count(make_answer(arm=NONE, stages=(0.05, 0.5)))
    assert list(counters.counts) == [Key("employment", 3, NONE, 5)]


def test_shadow_counts_the_units_arm_at_each_coming_stage() -> None:
    counters = count(*[make_answer(number, stages=(0.05, 0.25, 0.5)) for number in range(10)])
    assert find(counters, CHAMPION).requests == 10
    for weight, inside in ((0.05, 1), (0.25, 3), (0.5, 5)):
        assert find(counters, CANDIDATE, stage=weight).requests == inside
        assert find(counters, CHAMPION, stage=weight).requests == 10 - inside


def test_shadow_calls_count_for_the_candidate() -> None:
    counters = count(make_shadow(differs=True), make_shadow(failed=True, differs=None))
    counts = find(counters, CANDIDATE, 4)
    assert (counts.requests, counts.failures) == (2, 1)
    assert (counts.compared, counts.differing) == (1, 1)


def test_cost_and_value_are_shares_of_their_caps() -> None:
    facts: dict[str, Any] = {"service": "employment", "arm": CHAMPION, "version": 3, "epoch": 5}
    facts |= {"value_cap": 40.0, "counts_value": True}
    feedback = [
        Feedback("r1", AT, rating=-1, value=30.0, counts_rating=True, **facts),
        Feedback("r1", AT, rating=1, value=90.0, counts_rating=False, **facts),
    ]
    counts = find(count(make_answer(cost=2.5, cost_cap=10.0), *feedback), CHAMPION)
    assert (counts.priced, counts.cost, counts.spent) == (1, 250_000, 2_500_000)
    assert (counts.feedbacks, counts.negatives) == (1, 1)
    assert (counts.valued, counts.lack) == (2, 250_000)


def test_cost_without_a_cap_is_not_evaluated() -> None:
    counts = find(count(make_answer(cost=2.5)), CHAMPION)
    assert (counts.priced, counts.cost, counts.spent) == (0, 0, 2_500_000)


@pytest.mark.parametrize("latency", [0.0, -1.0, float("inf"), float("nan")])
def test_impossible_latency_is_counted_at_the_end_of_the_range(latency: float) -> None:
    assert sum(find(count(make_answer(latency_ms=latency)), CHAMPION).latencies.values()) == 1


def test_old_epochs_are_counted_together() -> None:
    counters = count(*[make_answer(epoch=epoch) for epoch in range(1, 101)])
    epochs = {key.epoch for key in counters.counts}
    assert epochs == {0, *range(101 - EPOCHS, 101)}
    assert sum(counts.requests for counts in counters.counts.values()) == 100
    counters.apply(make_answer(epoch=2))
    assert counters.counts[Key("employment", 3, CHAMPION, 0)].requests == 100 - EPOCHS + 1


def test_export_is_read_as_the_controllers_arms() -> None:
    counters = count(
        make_answer(latency_ms=7.3, cost=2.5, cost_cap=10.0, stages=(0.5,)),
        make_answer(epoch=4),
        make_answer(arm=NONE),
        make_shadow(differs=True, latency_ms=1.0),
    )
    runs = [{"run": "w0@1", "started": "1", "counters": counters.export()}]
    reading = build_readings(runs, "employment", 5)["w0@1"]
    assert reading.started == "1"
    assert reading.champion == Arm(requests=1, latencies={bucket_of(7.3): 1}, priced=1, cost=0.25)
    assert reading.candidate == Arm(requests=1, latencies={0: 1}, compared=1, differing=1)
    assert build_readings(runs, "arrivals", 5)["w0@1"].champion == Arm()


def test_tokens_first_bytes_and_hits_are_counted_by_arm() -> None:
    hits = ("input:iban:flag", "output:email:mask", "output:email:mask")
    counters = count(
        make_answer(1, input_tokens=12, output_tokens=5, first_byte_ms=7.3, hits=hits),
        make_answer(2, input_tokens=3, first_byte_ms=7.3),
        make_answer(3),
    )
    counts = find(counters, CHAMPION)
    assert (counts.input_tokens, counts.output_tokens) == (15, 5)
    assert (counts.first_bytes, counts.first_byte_us) == ({bucket_of(7.3): 2}, 14_600)
    assert counts.hits == {"input:iban:flag": 1, "output:email:mask": 2}
    [entry] = counters.export()
    assert entry["first_bytes"] == {str(bucket_of(7.3)): 2}
    counters.merge(counters)
    assert counts.hits["output:email:mask"] == 4

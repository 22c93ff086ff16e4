"""The soak: the frozen limits that it begins with, how long it lasts, what ends it."""

from dataclasses import replace

import numpy as np
import pytest

from sluice.rollout.evidence import HIGHEST
from sluice.rollout.history import History
from sluice.rollout.latency import LatencyLimits
from sluice.rollout.state import Phase, RolloutState, Verb
from sluice.rollout.state_machine import promote_candidate, step
from support.rollouts.counts import LAPTOP, arm_of, facts_of, run_to


def with_guardrails(state: RolloutState, requests: float, hits: float) -> RolloutState:
    """Give the state with another history of the champion's guardrail hits."""
    item = state.observation.evidence["guardrail"]
    history = History(np.array([requests]), np.array([hits]))
    evidence = {**state.observation.evidence, "guardrail": replace(item, history=history)}
    return replace(state, observation=replace(state.observation, evidence=evidence))


@pytest.mark.parametrize(
    ("requests", "hits", "limit"),
    [
        (999.0, 19.5, 3 * 20 / 1000),
        (499.0, 99.0, 3e-3),  # fewer than 500 requests tell nothing: a rate of .001 stands in
        (999.0, 499.5, HIGHEST / 2),
    ],
)
def test_guardrail_hits_may_be_three_times_the_champions(
    requests: float, hits: float, limit: float
) -> None:
    soak = promote_candidate(with_guardrails(run_to(Phase.CANARY), requests, hits), LAPTOP).soak
    assert soak is not None
    assert soak.alarms["guardrail"].limit == pytest.approx(limit)
    assert soak.alarms["error_rate"].limit == 0.05


def test_latency_is_held_against_twice_the_champions_p95() -> None:
    state = run_to(Phase.CANARY)
    baseline = replace(state.observation.baseline, limits=LatencyLimits(100, 111, 180))
    known = replace(state, observation=replace(state.observation, baseline=baseline))
    soak = promote_candidate(known, LAPTOP).soak
    assert soak is not None
    assert (soak.limit, soak.blocks) == (180, 0)
    assert soak.alarms["latency_double"].limit == 0.05
    unknown = replace(
        known, observation=replace(known.observation, baseline=replace(baseline, limits=None))
    )
    soak = promote_candidate(unknown, LAPTOP).soak
    assert soak is not None
    assert (soak.limit, set(soak.alarms)) == (None, {"error_rate", "guardrail"})


def test_it_begins_anew_under_a_new_epoch() -> None:
    state = replace(run_to(Phase.CANARY), missed_ticks=2)
    soaking = promote_candidate(state, LAPTOP)
    assert (soaking.phase, soaking.epoch) == (Phase.SOAK, state.epoch + 1)
    assert (soaking.missed_ticks, soaking.reason) == (0, "soak")
    assert soaking.weight(LAPTOP) == 1.0


def test_a_healthy_candidate_is_promoted_at_its_tenth_block() -> None:
    state, rng = run_to(Phase.SOAK), np.random.default_rng(15)
    for block in range(1, 10):
        state, decision = step(state, facts_of(state, rng), None, LAPTOP)
        assert (decision.verb, decision.reason) == (Verb.HOLD, f"soak: block {block} of 10")
        assert state.missed_ticks == 0
    state, decision = step(state, facts_of(state, rng), None, LAPTOP)
    assert (state.phase, decision.verb) == (Phase.DONE, Verb.FINISH)
    assert decision.reason == "promoted after 10 blocks of soak"


@pytest.mark.parametrize("rule", ["error_rate", "guardrail", "latency_double"])
def test_each_alarm_counts_its_own_figure(rule: str) -> None:
    state = run_to(Phase.SOAK)
    assert state.soak is not None
    assert state.soak.limit is not None
    slow = {state.soak.limit: 50.0, state.soak.limit + 1: 50.0}
    arm = {
        "error_rate": arm_of(100, 50),
        "guardrail": replace(arm_of(100, 0), guardrails=50.0),
        "latency_double": replace(arm_of(100, 0), latencies=slow),
    }[rule]
    back, decision = step(
        state, replace(facts_of(state, np.random.default_rng(1)), candidate=arm), None, LAPTOP
    )
    assert (back.phase, decision.rule) == (Phase.ROLLING_BACK, rule)
    assert back.epoch == state.epoch + 1
    assert decision.reason == f"{rule}: beyond its frozen limit in the soak"

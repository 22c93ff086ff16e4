"""Guardrail hits, feedback, costs and business values: drawn as set, judged by their rules."""

from dataclasses import replace

import numpy as np
import pytest

from sluice.config.loading import load_policy
from sluice.config.policy import Business, Policy, Rules
from sluice.rollout.simulation.rollouts import RolloutEnding, Simulation, SimulationResult, simulate
from sluice.rollout.simulation.traffic import (
    BlockCounts,
    DrawnSignals,
    Regression,
    Signals,
    Traffic,
)

LAPTOP = load_policy("laptop")
FEW_ARE_TOLD = LAPTOP.rules.model_copy(update={"feedback": Rules().feedback})
CANARY = LAPTOP.model_copy(update={"stages": (LAPTOP.stages[1],), "rules": FEW_ARE_TOLD})
ALL = Signals(guardrails=0.02, feedbacks=0.2, negatives=0.2, valued=0.2)
BUSY = Traffic(rate=1000, latency=20, signals=ALL)
"""Traffic of which a minute at 5 % is enough to find a threefold rate."""
NAMES = ("guardrail", "feedback", "cost", "business")


def with_business(passes: tuple[str, ...], weight: float = 0.05) -> Policy:
    business = Business(metric="paid", cap=1, margin=0.1)
    stage = LAPTOP.stages[1].model_copy(update={"passes": passes, "weight": weight})
    rules = LAPTOP.rules.model_copy(update={"business": business})
    return LAPTOP.model_copy(update={"stages": (stage,), "rules": rules})


def try_fault(fault: Regression, policy: Policy = CANARY) -> SimulationResult:
    return simulate(Simulation(policy, replace(BUSY, regression=fault), 60, seed=3, soak=False))


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_signals_have_the_shares_asked_and_the_fault_once_it_began(late: float) -> None:
    drawn = DrawnSignals(ALL, with_business(("business",)), NAMES, np.random.default_rng(8))
    n = np.full(400, 5000.0)
    fault = Regression(guardrails=3, negatives=2, costs=2, values=0.5)
    found = drawn.draw(BlockCounts(n, n * 0, n, n * 0), fault, np.full(400, late), False)
    usual = {"guardrail": 0.02, "feedback": 0.2, "cost": 1 / 20, "business": 0.5}
    times = {"guardrail": 3, "feedback": 2, "cost": 2, "business": 1.5}
    for name, rate in usual.items():
        block = found[name]
        assert np.sum(block.k_b) / np.sum(block.n_b) == pytest.approx(rate, rel=0.02)
        wanted = rate * (times[name] if late else 1)
        assert np.sum(block.k_c) / np.sum(block.n_c) == pytest.approx(wanted, rel=0.02)


def test_nobody_answers_what_nobody_saw() -> None:
    drawn = DrawnSignals(ALL, with_business(("business",)), NAMES, np.random.default_rng(8))
    n = np.full(5, 5000.0)
    found = drawn.draw(BlockCounts(n, n * 0, n, n * 0), Regression(), np.zeros(5), True)
    assert not np.any(found["feedback"].n_c)
    assert not np.any(found["business"].n_c)
    assert np.all(found["cost"].n_c == n)


def test_spread_of_costs_is_the_one_asked() -> None:
    drawn = DrawnSignals(Signals(cost_spread=2.0), LAPTOP, ("cost",), np.random.default_rng(8))
    n = np.full(4000, 100.0)
    block = drawn.draw(BlockCounts(n, n * 0, n, n * 0), Regression(), np.zeros(4000), False)["cost"]
    # Of 100 costs with mean 1/20 and spread 2/20, the sum spreads by 2/20 times 10.
    assert float(np.std(block.k_b)) == pytest.approx(1.0, rel=0.05)


def test_candidate_like_the_champion_passes_all_rules() -> None:
    outcome = try_fault(Regression())
    assert outcome.share(RolloutEnding.PROMOTED) >= 0.9
    assert outcome.share(RolloutEnding.ROLLED_BACK) + outcome.share(RolloutEnding.PAUSED) <= 0.02


@pytest.mark.parametrize(
    ("fault", "rule", "ending"),
    [
        (Regression(guardrails=8), "guardrail", RolloutEnding.ROLLED_BACK),
        (Regression(negatives=4.5), "feedback", RolloutEnding.PAUSED),
        (Regression(costs=6), "cost", RolloutEnding.PAUSED),
    ],
    ids=["guardrail", "feedback", "cost"],
)
def test_fault_ends_as_its_rule_says(fault: Regression, rule: str, ending: RolloutEnding) -> None:
    outcome = try_fault(fault)
    assert outcome.share(ending) >= 0.95
    assert list(outcome.count_rules(ending)) == [rule]


def test_business_is_judged_wherever_the_policy_has_it() -> None:
    policy = with_business(("business",), weight=0.5)
    plain = replace(BUSY, signals=None)
    healthy = simulate(Simulation(policy, plain, 40, seed=3, soak=False))
    assert healthy.share(RolloutEnding.PROMOTED) >= 0.9
    worse = replace(plain, regression=Regression(values=0.5))
    bad = simulate(Simulation(policy, worse, 40, seed=3, soak=False))
    assert bad.share(RolloutEnding.ROLLED_BACK) == 1
    assert list(bad.count_rules()) == ["business"]


def test_what_else_is_drawn_does_not_change_with_signals() -> None:
    fault = Regression(errors=0.03)
    traffic = replace(BUSY, regression=fault)
    one = simulate(Simulation(CANARY, traffic, 30, seed=5, soak=False))
    other = simulate(Simulation(CANARY, replace(traffic, signals=None), 30, seed=5, soak=False))
    np.testing.assert_array_equal(one.seconds, other.seconds)


def test_guardrail_hits_that_begin_in_the_soak_are_caught_there() -> None:
    stage = LAPTOP.stages[1].model_copy(update={"min": 2.0, "max": 60.0})
    policy = LAPTOP.model_copy(update={"stages": (stage,), "soak": 60.0})
    late = replace(BUSY, regression=Regression(guardrails=20, start=62.0))
    assert simulate(Simulation(policy, late, 20, seed=2)).count_rules() == {"soak": 20}


def test_stage_without_counts_for_its_rules_is_named() -> None:
    simulation = Simulation(with_business(("business",)), BUSY)
    assert simulation.untested == {}
    assert Simulation(LAPTOP, BUSY).untested == {}

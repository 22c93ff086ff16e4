"""Simulated rollouts end as the published figures say, and as the controller's tests would."""

from dataclasses import replace

import numpy as np
import pytest

from sluice.config.loading import load_policy
from sluice.config.policy import Policy
from sluice.rollout.evidence import Block
from sluice.rollout.history import History
from sluice.rollout.observation import StageEvidence
from sluice.rollout.simulation.histories import ChampionHistory, Overruns
from sluice.rollout.simulation.judging import EvidenceJudge, ObservedBlock, simulated_rules
from sluice.rollout.simulation.rollouts import RolloutEnding, Simulation, SimulationResult, simulate
from sluice.rollout.simulation.traffic import (
    BlockCounts,
    Drift,
    Incident,
    Regression,
    Traffic,
    Users,
)

HOUR = 3600.0
STANDARD = load_policy("standard")
CANARY = STANDARD.model_copy(update={"stages": (STANDARD.stages[1],)})


def try_canary(traffic: Traffic, runs: int = 200, policy: Policy = CANARY) -> SimulationResult:
    return simulate(Simulation(policy, traffic, runs, seed=7, soak=False))


def test_tests_of_many_rollouts_are_the_tests_of_one() -> None:
    """Of two rollouts one is decided on the way; the other's evidence is the controller's."""
    rng = np.random.default_rng(5)
    rules, stage = simulated_rules(STANDARD), STANDARD.stages[1]
    histories = {"errors": ChampionHistory(2, 100), "latency": ChampionHistory(2, 100)}
    past = rng.poisson(2850, (60, 2)).astype(float)
    failed = rng.binomial(past.astype(int), 0.01).astype(float)
    for n, k in zip(past, failed, strict=True):
        histories["errors"].append(np.arange(2), n, k)
        histories["latency"].append(np.arange(2), n, 5 * k)
    judge = EvidenceJudge(STANDARD, stage, rules, histories)
    rule = next(rule for rule in rules if rule.name == "error_margin")
    alone = StageEvidence.begin(History(past[:, 1], failed[:, 1]), rule.boundary, 240, 61)
    runs = np.arange(2)
    for block in range(1, 31):
        n_c, n_b = rng.poisson(150, 2).astype(float), rng.poisson(2850, 2).astype(float)
        k_c, k_b = rng.binomial(150, 0.01, 2).astype(float), rng.binomial(2800, 0.01, 2)
        n_c, n_b, k_c, k_b = (np.asarray(item, dtype=float)[runs] for item in (n_c, n_b, k_c, k_b))
        n_c = np.maximum(n_c, k_c)
        observed = ObservedBlock(BlockCounts(n_c, k_c, n_b, k_b), Overruns(k_c, k_c, 5 * k_b), k_c)
        judge.judge(runs, observed, block)
        for kind, usual in (("errors", k_b), ("latency", 5 * k_b)):
            histories[kind].append(runs, n_b, usual)
        alone = alone.update(Block(*(float(item[-1]) for item in (n_c, k_c, n_b, k_b))))
        if block == 10:
            judge.keep(np.array([False, True]))
            runs = runs[1:]
    wealth = judge.stops["error_margin"].log_wealth
    assert wealth.shape == (1,)
    assert float(wealth[0]) == pytest.approx(float(alone.rollback.log_wealth), rel=1e-9)


@pytest.mark.parametrize(
    "traffic",
    [
        Traffic(),
        Traffic(incident=Incident(HOUR, 600, 0.10)),
        Traffic(drift=Drift(0.018, 0, 4 * HOUR)),
        Traffic(clustering=0.5, shared=False),
    ],
    ids=["plain", "shared incident", "common drift", "clustered errors"],
)
def test_healthy_candidate_passes_the_canary(traffic: Traffic) -> None:
    outcome = try_canary(traffic)
    assert outcome.share(RolloutEnding.ROLLED_BACK) <= 0.01
    assert outcome.share(RolloutEnding.PROMOTED) >= 0.95
    assert 2 * HOUR <= (outcome.median_seconds(RolloutEnding.PROMOTED) or 0) <= 2.5 * HOUR


def test_regressions_are_found_in_the_time_published() -> None:
    small = try_canary(Traffic(regression=Regression(0.01)))
    large = try_canary(Traffic(regression=Regression(0.04)))
    slow = try_canary(Traffic(regression=Regression(slowdown=1.2)))
    assert [one.share(RolloutEnding.ROLLED_BACK) for one in (small, large, slow)] == [1.0, 1.0, 1.0]
    minutes = [
        (one.median_seconds(RolloutEnding.ROLLED_BACK) or 0) / 60 for one in (small, large, slow)
    ]
    assert minutes[0] <= 65
    assert minutes[1] <= 4
    assert minutes[2] <= 25
    assert next(iter(small.count_rules())) == "error_margin"
    assert list(slow.count_rules()) == ["latency_margin"]
    assert 5_000 < (small.median_exposed(RolloutEnding.ROLLED_BACK) or 0) < 11_000


def test_late_regression_is_found_with_fresh_money() -> None:
    outcome = try_canary(Traffic(regression=Regression(0.01, start=HOUR)))
    assert outcome.share(RolloutEnding.ROLLED_BACK) >= 0.95
    assert (outcome.median_seconds(RolloutEnding.ROLLED_BACK, HOUR) or 0) > 0


def test_candidate_at_the_margin_seldom_passes() -> None:
    assert try_canary(Traffic(regression=Regression(0.005))).share(RolloutEnding.PROMOTED) <= 0.05


def test_limits_read_literally_roll_every_healthy_candidate_back() -> None:
    simulation = Simulation(CANARY, Traffic(), 200, seed=3, judge="points", soak=False)
    literal, five = simulate(simulation), simulate(replace(simulation, checks=5))
    assert literal.share(RolloutEnding.ROLLED_BACK) == five.share(RolloutEnding.ROLLED_BACK) == 1
    assert literal.median_seconds(RolloutEnding.ROLLED_BACK) == pytest.approx(180, abs=60)
    assert five.median_seconds(RolloutEnding.ROLLED_BACK) == pytest.approx(1140, abs=180)


@pytest.mark.slow
def test_users_who_always_fail_are_balanced_or_counted_once() -> None:
    units = CANARY.model_copy(update={"count": "units"})
    as_they_come = try_canary(Traffic(users=Users()), 100)
    balanced = try_canary(Traffic(users=Users(balanced=True)), 100)
    once = try_canary(Traffic(users=Users()), 100, units)
    assert 0.05 <= as_they_come.share(RolloutEnding.ROLLED_BACK) <= 0.3
    assert balanced.share(RolloutEnding.ROLLED_BACK) <= 0.03
    assert once.share(RolloutEnding.ROLLED_BACK) <= 0.02


def test_same_seed_gives_the_same_rollouts() -> None:
    one, other = (try_canary(Traffic(regression=Regression(0.01)), 20) for _ in range(2))
    np.testing.assert_array_equal(one.seconds, other.seconds)
    np.testing.assert_array_equal(one.exposed, other.exposed)


def test_stage_that_may_roll_back_at_max_does() -> None:
    update = {"on_max": "roll_back", "min": 600.0, "max": HOUR}
    stage = CANARY.stages[0].model_copy(update=update)
    policy = CANARY.model_copy(update={"stages": (stage,)})
    outcome = try_canary(Traffic(rate=0.5), 10, policy)
    assert outcome.count_rules() == {"max": 10}
    assert set(outcome.seconds) == {HOUR}


def test_fault_that_begins_in_the_soak_is_caught_there() -> None:
    laptop = load_policy("laptop")
    traffic = Traffic(rate=300, errors=0.002, latency=2, regression=Regression(0.3, start=0))
    stage = laptop.stages[1].model_copy(update={"min": 2.0, "max": 60.0})
    policy = laptop.model_copy(update={"stages": (stage,), "soak": 60.0})
    late = replace(traffic, regression=Regression(0.3, start=62.0))
    outcome = simulate(Simulation(policy, late, 20, seed=2))
    assert outcome.count_rules() == {"soak": 20}


@pytest.mark.slow
def test_whole_rollouts_promote_the_healthy_and_never_a_regression() -> None:
    healthy = simulate(Simulation(STANDARD, Traffic(), 200, seed=11))
    assert healthy.share(RolloutEnding.ROLLED_BACK) <= 0.02
    assert healthy.share(RolloutEnding.PROMOTED) >= 0.95
    assert healthy.measured == 1
    bad = simulate(
        Simulation(STANDARD, Traffic(regression=Regression(0.01, start=HOUR)), 200, seed=12)
    )
    assert bad.share(RolloutEnding.PROMOTED) <= 0.01

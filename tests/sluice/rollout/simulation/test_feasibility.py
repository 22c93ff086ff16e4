"""Feasibility says what whole rollouts do, and a change that it offers is one that helps."""

import numpy as np
import pytest

from sluice.config.loading import load_policy
from sluice.config.policy import Policy
from sluice.rollout.simulation.feasibility import (
    POWER,
    find_need,
    forecast,
    pass_equal_arms,
    round_up,
)
from sluice.rollout.simulation.rollouts import RolloutEnding, Simulation, simulate
from sluice.rollout.simulation.traffic import Traffic

STANDARD, LAPTOP = load_policy("standard"), load_policy("laptop")
PUBLISHED = {0.05: 5650, 0.25: 7400, 0.50: 10400}


def only_errors(weight: float) -> Policy:
    update = {"weight": weight, "passes": ("error_margin",)}
    return STANDARD.model_copy(update={"stages": (STANDARD.stages[1].model_copy(update=update),)})


@pytest.mark.parametrize("weight", sorted(PUBLISHED))
def test_published_number_of_requests_is_needed(weight: float) -> None:
    # Six hours of the champion are known before its share falls, as in a rollout under way.
    policy = only_errors(weight).model_copy(update={"history": 3600.0 * 6})
    needed, _ = find_need(policy, 0, Traffic(rate=20), (200, 1))
    assert needed == pytest.approx(PUBLISHED[weight], rel=0.2)


def test_laptop_stages_conclude_at_150_requests_a_second() -> None:
    forecasts = forecast(LAPTOP, Traffic(rate=150, errors=0.002, latency=2), 100)
    assert [forecasted.stage for forecasted in forecasts] == ["shadow", "canary", "quarter", "half"]
    assert all(forecasted.is_feasible and not forecasted.changes for forecasted in forecasts)


@pytest.mark.slow
def test_offered_change_makes_the_stage_feasible() -> None:
    traffic = Traffic(rate=50, errors=0.002, latency=2)
    begun = LAPTOP.model_copy(update={"stages": LAPTOP.stages[:2]})
    forecasted = forecast(begun, traffic, 100)[1]
    assert not forecasted.is_feasible
    changes = {change.key: change for change in forecasted.changes}
    assert set(changes) == {"canary.weight", "canary.max", "rules.error_margin.margin"}
    assert all(change.probability >= POWER for change in forecasted.changes)
    assert all(change.proposed > change.current for change in forecasted.changes)
    stage = LAPTOP.stages[1].model_copy(update={"max": changes["canary.max"].proposed})
    stages = (LAPTOP.stages[0], stage)
    longer = LAPTOP.model_copy(update={"stages": stages})
    passed = pass_equal_arms(longer, traffic, (200, 9)).passed[1]
    assert np.mean(~np.isnan(passed)) >= POWER - 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "stages"), [(1.0, 1), (10.0, 3), (50.0, 3)])
def test_feasibility_agrees_with_whole_rollouts(rate: float, stages: int) -> None:
    policy = STANDARD.model_copy(update={"stages": STANDARD.stages[:stages]})
    traffic, runs = Traffic(rate=rate), 150
    chances = np.mean(~np.isnan(pass_equal_arms(policy, traffic, (runs, 3)).passed), axis=1)
    expected = float(np.prod(chances))
    promoted = simulate(Simulation(policy, traffic, runs, 4, soak=False)).share(
        RolloutEnding.PROMOTED
    )
    error = np.sqrt(max(expected * (1 - expected), 1 / runs) * 2 / runs)
    assert abs(promoted - expected) <= 3 * error


def test_durations_are_rounded_up_to_what_a_person_writes() -> None:
    assert [round_up(value) for value in (39.2, 119.5, 130.0, 7300.0)] == [40, 120, 180, 10800]

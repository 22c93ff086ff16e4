"""The route that a rollout's state requires, and readings as they are stored."""

from dataclasses import replace

import pytest

from sluice.config.policy import Business, Disagreement
from sluice.config.rollout import RouteConfig
from sluice.control.route import Mode, Route
from sluice.rollout.collection import CounterReading
from sluice.rollout.facts import Arm
from sluice.rollout.record import RolloutRecord, read_readings, write_readings
from sluice.rollout.state import Phase, RolloutState
from support.rollouts.counts import LAPTOP, begin, run_to

SEEN = Route("employment", 3, epoch=9)


def record_of(state: RolloutState) -> RolloutRecord:
    return RolloutRecord("employment", 1, 3, 4, LAPTOP, RouteConfig(), "salt", state)


def test_in_shadow_the_candidate_gets_copies_and_the_route_has_every_stages_weight() -> None:
    route = record_of(run_to(Phase.SHADOW)).direct(SEEN)
    assert (route.mode, route.candidate, route.weight) == (Mode.SHADOW, 4, 0.0)
    assert route.stage_weights == (0.05, 0.25, 0.5)
    assert (route.arm_timeout_ms, route.candidate_concurrency, route.ttl) == (2000.0, 8, 15.0)


def test_how_answers_and_values_are_measured_comes_from_the_policy() -> None:
    assert record_of(run_to(Phase.SHADOW)).direct(SEEN).value_cap == 0
    rules = LAPTOP.rules.model_copy(
        update={
            "business": Business(metric="revenue", cap=40.0, margin=2.0),
            "disagreement": Disagreement(tolerance=0.5),
        }
    )
    measured = LAPTOP.model_copy(update={"rules": rules})
    route = replace(record_of(run_to(Phase.SHADOW)), policy=measured).direct(SEEN)
    assert (route.tolerance, route.value_cap) == (0.5, 40.0)


def test_in_a_stage_it_gets_the_stages_weight() -> None:
    route = record_of(run_to(Phase.CANARY)).direct(SEEN)
    assert (route.mode, route.champion, route.candidate, route.weight) == (Mode.CANARY, 3, 4, 0.05)


def test_while_frozen_it_stays_loaded_and_gets_nothing() -> None:
    for phase in (Phase.SHADOW, Phase.CANARY):
        frozen = replace(run_to(phase), phase=Phase.FROZEN)
        route = record_of(frozen).direct(SEEN)
        assert (route.candidate, route.weight, route.shadow_share) == (4, 0.0, 0.0)


@pytest.mark.parametrize(
    ("phase", "champion"),
    [
        (Phase.PENDING, 3),
        (Phase.SOAK, 4),
        (Phase.DONE, 4),
        (Phase.ROLLING_BACK, 3),
        (Phase.ROLLED_BACK, 3),
        (Phase.ABORTED, 3),
    ],
)
def test_elsewhere_one_version_serves_alone(phase: Phase, champion: int) -> None:
    route = record_of(replace(begin(), phase=phase)).direct(SEEN)
    assert (route.mode, route.champion, route.candidate) == (Mode.CHAMPION, champion, None)


def test_readings_come_back() -> None:
    readings = {"a/w0": CounterReading("1", Arm(requests=3, latencies={300: 3.0}), Arm(requests=9))}
    assert read_readings(write_readings(readings)) == readings


def test_a_stage_has_one_name_that_of_its_policy() -> None:
    """The phase of every stage with traffic is `canary`, whatever the stage is called."""
    state = run_to(Phase.CANARY)
    names = [record_of(replace(state, stage=stage)).stage_name for stage in (1, 2, 3)]
    assert names == ["canary", "quarter", "half"]
    paused = record_of(replace(state, stage=2, phase=Phase.PAUSED))
    assert paused.stage_name == "quarter (paused)"
    assert record_of(replace(state, phase=Phase.ROLLING_BACK)).stage_name == "rolling back"

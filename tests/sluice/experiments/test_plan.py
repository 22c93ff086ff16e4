"""Plans: units by the traffic's own variance, whole periods, and what cannot be planned."""

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from sluice.experiments.plan import UnitArrivals, plan_experiment
from sluice.stats.experiments.power import count_units
from support.experiments.traffic import DAY, START, Draw, configure, draw_requests

ASSUMED = {"mean": 0.2, "units_a_day": 1000}
NOTHING = (START, START)


def test_units_are_those_of_the_power_that_was_asked_for() -> None:
    plan = plan_experiment(configure(assumed=ASSUMED, period="1 d"), None, NOTHING)
    size = proportion_effectsize(0.25, 0.2)
    oracle = 2 * NormalIndPower().solve_power(size, alpha=0.05, power=0.8)
    assert oracle < plan.units < 1.05 * oracle
    assert plan.units_a + plan.units_b == plan.units


def test_the_duration_is_whole_weeks_and_the_last_units_window() -> None:
    plan = plan_experiment(configure(assumed=ASSUMED), None, NOTHING)
    assert plan.periods == 1
    assert plan.seconds == 8 * DAY
    slow = plan_experiment(configure(assumed={**ASSUMED, "units_a_day": 100}), None, NOTHING)
    assert slow.periods == -(-slow.units // 700)


def test_ninety_to_ten_needs_more_units_and_sequential_more_again() -> None:
    even, uneven, looked = (
        plan_experiment(configure(assumed=ASSUMED, **more), None, NOTHING).units
        for more in ({}, {"split": 0.1}, {"looks": "sequential"})
    )
    assert uneven / even == pytest.approx(0.25 / 0.09, rel=0.08)
    first_block = 1000
    assert 1.8 < (looked - first_block) / even < 2.0


def test_a_rate_that_falls_in_a_small_arm_needs_more_than_its_own_variance_says() -> None:
    """The test takes the arms together, where most units are the control's."""
    falls = configure(
        assumed=ASSUMED,
        split=0.1,
        primary={**configure().primary.model_dump(), "better": "lower"},
    )
    plan = plan_experiment(falls, None, NOTHING)
    own = count_units(0.05, (0.2 * 0.8, 0.15 * 0.85), 0.1)
    assert 1.15 < plan.units / own < 1.25


def test_the_first_blocks_of_a_sequential_rate_are_no_evidence() -> None:
    """A hundred units in each arm come first: at 10 % of 300 a day that takes four days."""
    slow = {"mean": 0.2, "units_a_day": 300}
    terms = {"assumed": slow, "looks": "sequential", "split": 0.1}
    days, halves = (
        plan_experiment(configure(**terms, block=block), None, NOTHING).units
        for block in ("1 d", "12 h")
    )
    assert days - halves == 4 * 300 - 7 * 150


def test_past_traffic_is_planned_from_and_goes_before_what_was_assumed() -> None:
    config = configure(assumed={"mean": 0.9, "units_a_day": 1})
    history = draw_requests(Draw(users=3000, days=10), config)
    plan = plan_experiment(config, history, (START, START + 11 * DAY))
    assert plan.source == "traffic"
    assert plan.baseline == pytest.approx(1 - (1 - 0.2) ** 3, abs=0.08)
    assert plan.units_a_day == pytest.approx(280, rel=0.2)
    assert plan.found_in_time <= config.minimum_detectable_effect


def test_what_is_found_falls_with_time() -> None:
    plan = plan_experiment(configure(assumed=ASSUMED), None, NOTHING)
    effects = [point.effect for point in plan.curve]
    assert effects == sorted(effects, reverse=True)
    assert len(effects) == 12


def test_too_little_traffic_is_refused_with_what_to_do() -> None:
    config = configure()
    few = draw_requests(Draw(users=20), config)
    for history in (few, None):
        with pytest.raises(ValueError, match=r"fewer than 50 complete units.*write `assumed:`"):
            plan_experiment(config, history, (START, START + 9 * DAY))


def test_what_would_take_more_than_a_year_is_refused_with_what_could_be_found() -> None:
    config = configure(assumed={**ASSUMED, "units_a_day": 1}, minimum_detectable_effect=0.01)
    with pytest.raises(
        ValueError, match=r"more than 52 periods; the traffic finds .* in 4 periods"
    ):
        plan_experiment(config, None, NOTHING)


def test_effects_that_are_impossible_are_refused() -> None:
    with pytest.raises(ValueError, match=r"would make 120\.0%"):
        plan_experiment(configure(assumed={"mean": 0.96, "units_a_day": 9}), None, NOTHING)
    config = configure(primary={**configure().primary.model_dump(), "source": "failed"})
    history = draw_requests(Draw(), config)
    with pytest.raises(ValueError, match="found pleased at 0 in past traffic"):
        plan_experiment(config, history, (START, START + 9 * DAY))


def test_arrivals_are_those_that_came_and_then_the_later_pace() -> None:
    times = START + np.concatenate([np.linspace(0, 50, 90), np.linspace(51, 100, 10)])
    found = UnitArrivals.from_entries(times, (START, START + 100))
    assert found.count(50) == 90
    assert found.find_time(90) == pytest.approx(50)
    assert found.pace == pytest.approx(10 / 50)
    assert found.find_time(200) == pytest.approx(100 + 100 / 0.2)
    assert UnitArrivals((), 0.0, 0.0).find_time(3) == float("inf")

"""Looks before the end: false findings with a look a day, and what the fixed test would say."""

from math import exp, log

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sluice.stats.experiments.means import UnitEstimate, estimate_mean
from sluice.stats.experiments.proportions import compare_rates
from sluice.stats.experiments.sequential import (
    UnitBlock,
    bound_sequence,
    find_p_value,
    find_reach,
    measure_rates,
    stretch_units,
    tune_sequence,
)

DAYS, RUNS = 14, 300


def draw(rng: np.random.Generator, rate_a: float, rate_b: float) -> list[UnitBlock]:
    return [
        UnitBlock(450, int(rng.binomial(450, rate_a)), 50, int(rng.binomial(50, rate_b)))
        for _ in range(DAYS)
    ]


def exchange(blocks: list[UnitBlock]) -> list[UnitBlock]:
    return [UnitBlock(one.units_b, one.hits_b, one.units_a, one.hits_a) for one in blocks]


def finds(blocks: list[UnitBlock], effect: float, alpha: float = 0.05) -> bool:
    both = (measure_rates(each, effect) for each in (blocks, exchange(blocks)))
    return min(find_p_value(logs) for logs in both) < alpha / 2


def test_equal_arms_looked_at_each_day_differ_in_few_experiments() -> None:
    rng = np.random.default_rng(10)
    found = np.mean([finds(draw(rng, 0.2, 0.2), 0.05) for _ in range(RUNS)])
    assert found <= 0.05


def test_the_fixed_test_read_each_day_finds_far_too_much() -> None:
    rng = np.random.default_rng(11)
    wrong = []
    for _ in range(RUNS):
        blocks = draw(rng, 0.2, 0.2)
        parts = [blocks[: day + 1] for day in range(DAYS)]
        totals = [
            tuple(
                sum(getattr(one, name) for one in part)
                for name in ("hits_a", "units_a", "hits_b", "units_b")
            )
            for part in parts
        ]
        wrong.append(any(compare_rates(*total).significant for total in totals))
    assert np.mean(wrong) > 0.12


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(12)
    assert np.mean([finds(draw(rng, 0.2, 0.35), 0.1) for _ in range(100)]) > 0.9


def test_the_expectation_of_a_blocks_e_value_is_at_most_one() -> None:
    rng = np.random.default_rng(13)
    first = UnitBlock(1000, 200, 100, 30)
    values = [
        exp(measure_rates([first, one], 0.05)[-1])
        for one in (
            UnitBlock(400, int(rng.binomial(400, 0.2)), 60, int(rng.binomial(60, 0.2)))
            for _ in range(3000)
        )
    ]
    assert np.mean(values) <= 1.0 + 3 * np.std(values) / np.sqrt(3000)


def test_the_first_units_are_no_evidence_and_a_margin_moves_the_limit() -> None:
    blocks = [UnitBlock(300, 30, 300, 90)] * 5
    assert measure_rates(blocks, 0.05)[0] == 0.0
    assert measure_rates(blocks, 0.05)[-1] > log(100)
    assert measure_rates(blocks, 0.05, margin=0.25)[-1] < 0
    assert find_p_value([]) == 1.0
    with pytest.raises(ValueError, match="needed: more than 0"):
        measure_rates(blocks, 0.0)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_sequence_is_narrowest_where_it_was_tuned(alpha: float) -> None:
    best = minimize_scalar(
        lambda x: find_reach(1000, alpha, np.exp(x)), bounds=(-12, 0), method="bounded"
    )
    assert find_reach(1000, alpha, tune_sequence(1000, alpha)) == pytest.approx(best.fun, rel=2e-3)


def test_a_confidence_sequence_covers_at_all_looks_at_once() -> None:
    rng = np.random.default_rng(14)
    missed = 0
    for _ in range(RUNS):
        a, b = rng.lognormal(0, 1, 4000), rng.lognormal(0, 1, 2000)
        looks = (
            bound_sequence(estimate_mean(a[: 2 * n]), estimate_mean(b[:n]), 0.05, 6000)
            for n in range(150, 2001, 100)
        )
        missed += any(look is not None and not look[0] <= 0 <= look[1] for look in looks)
    assert missed / RUNS <= 0.05


def test_too_few_units_have_no_bounds_and_a_sequential_plan_has_more_units() -> None:
    few = UnitEstimate(1.0, 0.1, 99)
    assert bound_sequence(few, few, 0.05, 1000) is None
    assert find_reach(1000, 0.05, tune_sequence(1000, 0.05)) == pytest.approx(3.03, abs=0.01)
    assert 1.8 < stretch_units(0.05, 0.8) < 2.0

"""Bounds over the cases of an evaluation set, against scipy, statsmodels and the tables."""

from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from sluice.stats.prompts.bounds import (
    FEWEST_CASES,
    bound_difference,
    bound_mean,
    bound_rate,
    bound_ratio,
    count_needed_cases,
)


@pytest.mark.parametrize(("passed", "n"), [(0, 7), (5, 9), (59, 59), (198, 200)])
def test_bounds_of_a_rate_are_those_of_statsmodels(passed: int, n: int) -> None:
    found = bound_rate(passed, n)
    low, high = proportion_confint(passed, n, alpha=0.10, method="beta")
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.value == passed / n


def test_no_case_has_no_rate() -> None:
    assert bound_rate(0, 0).interval is None


@pytest.mark.parametrize(
    ("rate", "limit", "n"),
    [(1.0, 0.99, 299), (0.998, 0.99, 628), (1.0, 0.95, 59), (0.98, 0.95, 234)],
)
def test_needed_cases_are_those_of_the_table(rate: float, limit: float, n: int) -> None:
    assert count_needed_cases(rate, limit) == n


@settings(deadline=None, max_examples=25)
@given(st.floats(0.6, 1.0), st.floats(0.3, 0.95))
def test_needed_cases_are_the_first_with_power(rate: float, limit: float) -> None:
    found = count_needed_cases(rate, limit)
    if rate - limit < 0.03:
        return
    assert found is not None

    def power(n: int) -> float:
        proving = bisect_left(range(n + 1), True, key=lambda k: (bound_rate(k, n).low or 0) > limit)
        return float(binom.sf(proving - 1, n, rate))

    assert power(found) >= 0.8 - 1e-9
    assert found == 1 or power(found - 1) < 0.8 + 1e-9


@pytest.mark.parametrize(("rate", "limit"), [(0.9, 0.9), (0.5, 0.9), (0.990001, 0.99)])
def test_a_rate_at_its_limit_needs_no_number_of_cases(rate: float, limit: float) -> None:
    assert count_needed_cases(rate, limit) is None


def test_few_cases_have_a_mean_and_no_bounds() -> None:
    found = bound_mean(np.ones(FEWEST_CASES - 1), 500, 0)
    assert (found.value, found.interval, found.n) == (1.0, None, FEWEST_CASES - 1)
    assert bound_difference(np.full(10, -0.5), 500, 0)[1] == 1.0
    assert bound_ratio(np.ones(10), np.ones(10), 500, 0).interval is None


def test_cases_that_agree_still_have_an_interval() -> None:
    found = bound_mean(np.full(60, 0.8), 2000, 0)
    assert found.interval is not None
    assert found.interval[0] < 0.78
    assert found.interval[1] > 0.80
    shift, p_value = bound_difference(np.zeros(60), 2000, 0)
    assert shift.interval is not None
    assert shift.interval[0] < 0.0 < shift.interval[1]
    assert 0.3 < p_value < 0.9


def test_bounds_of_a_mean_cover_as_they_say() -> None:
    random, above, below = np.random.default_rng(3), 0, 0
    for _ in range(1000):
        found = bound_mean(random.beta(8.0, 2.0, 150), 400, 0)
        above += found.interval is not None and found.interval[0] > 0.8
        below += found.interval is not None and found.interval[1] < 0.8
    assert above / 1000 <= 0.08
    assert below / 1000 <= 0.08


def test_ratio_of_means_and_its_bounds() -> None:
    random = np.random.default_rng(5)
    before = random.lognormal(0.0, 0.5, 200)
    found = bound_ratio(2.0 * before, before, 1000, 0)
    assert found.value == pytest.approx(2.0)
    assert found.interval == pytest.approx((2.0, 2.0))
    assert bound_ratio(before, np.zeros(200), 1000, 0).value is None

"""Means and ratios by unit: against scipy, and beside what an analysis by request would say."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_ind

from sluice.stats.experiments.covariate import adjust_values
from sluice.stats.experiments.means import compare_means, compare_ratios, estimate_ratio
from sluice.stats.experiments.proportions import compare_rates


def test_means_are_compared_as_scipy_does() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 3, 900), rng.normal(1.3, 2, 100)
    found = compare_means(a, b)
    oracle = ttest_ind(b, a, equal_var=False)
    interval = oracle.confidence_interval()
    assert found.t_score == pytest.approx(oracle.statistic)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_ratio_of_equal_counts_is_a_mean() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(2, 1, 500)
    found = estimate_ratio(x * 4, np.full(500, 4.0))
    assert found.value == pytest.approx(x.mean())
    assert found.variance == pytest.approx(x.var(ddof=1) / 500)


def test_the_ratios_variance_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(3)
    counts = rng.geometric(0.2, (4000, 400)).astype(float)
    sums = rng.binomial(counts.astype(int), 0.3).astype(float)
    ratios = sums.sum(axis=1) / counts.sum(axis=1)
    found = np.mean([estimate_ratio(*pair).variance for pair in zip(sums, counts, strict=True)])
    assert found == pytest.approx(ratios.var(), rel=0.06)


def test_equal_arms_with_heavy_users_differ_by_requests_and_not_by_units() -> None:
    rng = np.random.default_rng(4)
    by_unit, by_request = [], []
    for _ in range(400):
        counts = np.ceil(rng.pareto(1.5, 2000) + 1).clip(max=2000)
        rates = rng.beta(0.3, 0.7, 2000)
        sums = rng.binomial(counts.astype(int), rates)
        half = slice(0, 1000), slice(1000, 2000)
        (a, b), (n, m) = (sums[one] for one in half), (counts[one] for one in half)
        by_unit.append(compare_ratios((a * 1.0, n), (b * 1.0, m)).significant)
        totals = int(a.sum()), int(n.sum()), int(b.sum()), int(m.sum())
        by_request.append(compare_rates(*totals).significant)
    assert 0.02 <= np.mean(by_unit) <= 0.09
    assert np.mean(by_request) > 0.4


def test_arms_without_a_difference_or_a_spread() -> None:
    same = compare_means(np.ones(5), np.ones(9))
    assert (same.p_value, same.significant, same.difference) == (1.0, False, 0.0)
    with pytest.raises(ValueError, match="needed: an arm whose units differ"):
        compare_means(np.ones(5), np.zeros(9))
    with pytest.raises(ValueError, match="found 1 units in an arm"):
        compare_means(np.ones(1), np.zeros(9))
    with pytest.raises(ValueError, match="nothing counted"):
        estimate_ratio(np.zeros(4), np.zeros(4))


def test_a_control_of_zero_has_no_lift_and_the_delta_method_is_normal() -> None:
    rng = np.random.default_rng(5)
    found = compare_ratios((np.zeros(50), np.ones(50)), (rng.normal(1, 1, 50), np.ones(50)))
    assert found.lift is None
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.t_score)))


@pytest.mark.parametrize("value", [1e200, 1.7e308, -np.inf])
def test_a_value_that_no_variance_can_take_is_named(value: float) -> None:
    sums = np.array([1.0, 2.0, value, value])
    for judge in (
        lambda: compare_means(np.arange(4.0), sums),
        lambda: compare_ratios((np.arange(4.0), np.ones(4)), (sums, np.ones(4))),
        lambda: adjust_values(sums, np.arange(4.0)),
        lambda: adjust_values(np.arange(4.0), np.array([1.0, 2.0, 1e200, 3.0])),
    ):
        with pytest.raises(ValueError, match="in a unit, whose square is too large"):
            judge()

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint

from sluice.stats.calibration import bin_reliability, measure_gap, measure_slope


def make_rows(n: int, seed: int, slope: float = 1.0) -> tuple[NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng(seed)
    logit = random.normal(0.4, 1.2, n)
    y = (random.random(n) < 1 / (1 + np.exp(-slope * logit))).astype(int)
    return y, 1 / (1 + np.exp(-logit))


def logit(scores: NDArray[Any]) -> NDArray[Any]:
    return np.log(scores / (1 - scores))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000), slope=st.floats(0.4, 2.0))
def test_slope_and_bounds_equal_the_general_linear_model(seed: int, slope: float) -> None:
    y, scores = make_rows(600, seed, slope)
    found = measure_slope(y, scores, None)
    fit = sm.GLM(y, sm.add_constant(logit(scores)), family=sm.families.Binomial()).fit()
    assert found.value == pytest.approx(fit.params[1], abs=1e-6)
    assert found.interval == pytest.approx(tuple(fit.conf_int(alpha=0.1)[1]), abs=1e-5)


def test_slope_bounds_of_groups_equal_the_cluster_sandwich() -> None:
    y, scores = make_rows(600, 5)
    groups = np.repeat(np.arange(120), 5)
    found = measure_slope(y, scores, groups)
    model = sm.Logit(y, sm.add_constant(logit(scores)))
    fit = model.fit(
        disp=False,
        cov_type="cluster",
        cov_kwds={"groups": groups, "use_correction": False, "df_correction": False},
    )
    assert found.error == pytest.approx(fit.bse[1], rel=1e-5)


def test_overconfident_scores_have_a_slope_below_one() -> None:
    y, scores = make_rows(5_000, 6, slope=0.5)
    high = measure_slope(y, scores, None).high
    assert high is not None
    assert high < 0.6


def test_separated_outcomes_have_no_slope() -> None:
    scores = np.linspace(0.01, 0.99, 200)
    assert measure_slope((scores > 0.5).astype(int), scores, None).value is None


def test_equal_scores_have_no_slope() -> None:
    y, _ = make_rows(100, 7)
    assert measure_slope(y, np.full(100, 0.6), None).value is None


def test_certain_scores_do_not_break_the_slope() -> None:
    y, scores = make_rows(500, 8)
    scores[:3] = (0.0, 1.0, 1.0)
    assert measure_slope(y, scores, None).value is not None


def test_gap_is_mean_prediction_minus_observed_share() -> None:
    y, scores = make_rows(2_000, 9)
    found = measure_gap(y, scores, None)
    oracle = sm.stats.DescrStatsW(scores - y)
    assert found.value == pytest.approx(scores.mean() - y.mean())
    assert found.interval == pytest.approx(oracle.zconfint_mean(alpha=0.1), rel=1e-6)


def test_gap_of_single_row_groups_equals_the_gap_of_rows() -> None:
    y, scores = make_rows(300, 10)
    grouped = measure_gap(y, scores, np.arange(300))
    assert grouped.interval == pytest.approx(measure_gap(y, scores, None).interval)


def test_repeated_rows_in_groups_do_not_narrow_the_gaps_interval() -> None:
    y, scores = make_rows(300, 11)
    once = measure_gap(y, scores, None)
    twice = measure_gap(np.repeat(y, 2), np.repeat(scores, 2), np.repeat(np.arange(300), 2))
    assert twice.interval == pytest.approx(once.interval)


def test_gap_of_one_group_has_no_bounds() -> None:
    y, scores = make_rows(30, 12)
    assert measure_gap(y, scores, np.zeros(30, dtype=int)).interval is None


def test_bins_equal_those_of_scikit_learn() -> None:
    y, scores = make_rows(1_000, 13)
    observed, predicted = calibration_curve(y, scores, n_bins=10, strategy="quantile")
    bins = bin_reliability(y, scores)
    np.testing.assert_allclose([one.predicted for one in bins], predicted)
    np.testing.assert_allclose([one.observed for one in bins], observed)
    assert sum(one.n for one in bins) == 1_000


def test_bin_bounds_are_those_of_wilson() -> None:
    y, scores = make_rows(500, 14)
    one = bin_reliability(y, scores)[0]
    low, high = proportion_confint(round(one.observed * one.n), one.n, method="wilson")
    assert (one.low, one.high) == pytest.approx((low, high))


def test_equal_scores_fall_in_one_bin() -> None:
    assert len(bin_reliability(np.array([0, 1, 1]), np.full(3, 0.5))) == 1

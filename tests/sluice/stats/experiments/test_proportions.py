"""Two rates compared: against statsmodels and scipy, and at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from sluice.stats.experiments.proportions import compare_rates


@pytest.mark.parametrize("counts", [(200, 2000, 260, 2000), (50, 900, 3, 100), (990, 1000, 80, 90)])
def test_the_z_test_is_that_of_statsmodels(counts: tuple[int, int, int, int]) -> None:
    hits_a, units_a, hits_b, units_b = counts
    found = compare_rates(*counts)
    z, p = proportions_ztest([hits_b, hits_a], [units_b, units_a])
    assert found.z_score == pytest.approx(z)
    if found.method == "z":
        assert found.p_value == pytest.approx(p)


def test_the_interval_is_newcombes() -> None:
    found = compare_rates(56, 70, 48, 80)  # Newcombe (1998), table II, contrast (a): .0524 to .3339
    assert (-found.high, -found.low) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    oracle = confint_proportions_2indep(48, 80, 56, 70, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx(oracle)


def test_below_five_expected_fisher_decides() -> None:
    found = compare_rates(1, 40, 7, 40)
    assert found.method == "fisher"
    assert found.p_value == pytest.approx(fisher_exact([[1, 39], [7, 33]]).pvalue)


def test_a_large_z_keeps_its_p_value() -> None:
    assert 0 < compare_rates(1000, 10_000, 2000, 10_000).p_value < 1e-80


@pytest.mark.parametrize("hits", [0, 50])
def test_equal_extremes_are_no_difference(hits: int) -> None:
    found = compare_rates(hits, 50, hits, 50)
    assert (found.z_score, found.p_value, found.significant) == (0.0, 1.0, False)
    assert found.low < 0 < found.high


def test_a_control_of_zero_has_no_lift() -> None:
    found = compare_rates(0, 500, 40, 500)
    assert found.lift is None
    assert found.significant


@pytest.mark.parametrize("counts", [(0, 0, 1, 9), (1, 9, 0, 0), (10, 9, 1, 9), (1, 9, -1, 9)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="allowed: at least one unit, and counts from 0"):
        compare_rates(*counts)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_exchanged_arms_change_the_sign_alone(
    units_a: int, units_b: int, data: st.DataObject
) -> None:
    hits_a = data.draw(st.integers(0, units_a))
    hits_b = data.draw(st.integers(0, units_b))
    one = compare_rates(hits_a, units_a, hits_b, units_b)
    other = compare_rates(hits_b, units_b, hits_a, units_a)
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.low <= one.difference <= one.high
    assert np.isfinite([one.z_score, one.p_value, one.low, one.high]).all()

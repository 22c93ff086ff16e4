"""Distributions are compared as by scipy and statsmodels; significant, large changes alarm."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from sluice.data.distribution import (
    AlarmLimits,
    compare_column,
    compare_levels,
    compare_shares,
    measure_distance,
    measure_stability,
)

LIMITS = AlarmLimits()
SAMPLES = st.lists(st.integers(-20, 20), min_size=5, max_size=60)


def draw(seed: int, rows: int, shift: float = 0.0) -> "pd.Series[float]":
    return pd.Series(np.random.default_rng(seed).normal(shift, 1.0, rows))


@given(SAMPLES, SAMPLES)
def test_the_distance_is_that_of_scipy(first: list[int], second: list[int]) -> None:
    before, now = np.array(first, float), np.array(second, float)
    distance, _ = measure_distance(before, now)
    assert distance == pytest.approx(stats.ks_2samp(before, now, method="asymp").statistic)


def test_the_p_value_is_that_of_scipy_at_large_n() -> None:
    before, now = draw(1, 40_000), draw(2, 30_000, 0.012)
    distance, p = measure_distance(before.to_numpy(), now.to_numpy())
    oracle = stats.ks_2samp(before, now, method="asymp")
    assert distance == pytest.approx(oracle.statistic)
    assert p == pytest.approx(oracle.pvalue, rel=0.03)


def test_levels_are_compared_as_by_scipy() -> None:
    counts = np.array([[300.0, 500.0, 200.0], [350.0, 480.0, 170.0]])
    p, dropped = compare_levels(counts)
    assert p == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    assert dropped == ()


def test_rare_levels_are_pooled() -> None:
    counts = np.array([[900.0, 8.0, 7.0, 9.0], [880.0, 12.0, 9.0, 6.0]])
    pooled = np.array([[900.0, 24.0], [880.0, 27.0]])
    p, dropped = compare_levels(counts)
    assert p == pytest.approx(stats.chi2_contingency(pooled, correction=False).pvalue)
    assert dropped == ()


def test_a_pool_that_stays_rare_is_dropped_and_named() -> None:
    p, dropped = compare_levels(np.array([[500.0, 400.0, 1.0], [510.0, 390.0, 2.0]]))
    kept = np.array([[500.0, 400.0], [510.0, 390.0]])
    assert dropped == (2,)
    assert p == pytest.approx(stats.chi2_contingency(kept, correction=False).pvalue)


def test_one_level_cannot_differ() -> None:
    assert compare_levels(np.array([[500.0], [600.0]]))[0] == 1.0


@given(st.lists(st.integers(0, 500), min_size=2, max_size=8), st.data())
def test_stability_is_never_negative_and_zero_when_equal(
    counts: list[int], data: st.DataObject
) -> None:
    other = data.draw(st.lists(st.integers(0, 500), min_size=len(counts), max_size=len(counts)))
    assert measure_stability(np.array([counts, other], float)) >= 0.0
    assert measure_stability(np.array([counts, counts], float)) == pytest.approx(0.0, abs=1e-12)


def test_stability_is_the_symmetric_divergence() -> None:
    shares = np.array([[400.0, 600.0], [550.0, 450.0]]) + 0.5
    shares /= shares.sum(axis=1, keepdims=True)
    oracle = stats.entropy(shares[0], shares[1]) + stats.entropy(shares[1], shares[0])
    assert measure_stability(np.array([[400.0, 600.0], [550.0, 450.0]])) == pytest.approx(oracle)


def test_shares_are_compared_as_by_statsmodels() -> None:
    difference, p = compare_shares((30, 1000), (75, 1200))
    assert difference == pytest.approx(75 / 1200 - 30 / 1000)
    assert p == pytest.approx(proportions_ztest([30, 75], [1000, 1200])[1])


def test_a_shift_that_matters_alarms() -> None:
    (found,) = compare_column(draw(1, 4000), draw(2, 4000, 0.3), LIMITS)
    assert found.measure == "KS distance"
    assert found.alarms(0.01 / 30)


def test_a_significant_but_tiny_shift_does_not_alarm() -> None:
    (found,) = compare_column(draw(1, 60_000), draw(2, 60_000, 0.05), LIMITS)
    assert found.p < 1e-6
    assert not found.alarms(0.01 / 30)


def test_the_same_distribution_does_not_alarm() -> None:
    found = [
        compare_column(draw(seed, 2000), draw(seed + 1000, 2000), LIMITS)[0].alarms(0.01 / 30)
        for seed in range(100)
    ]
    assert not any(found)


def test_few_distinct_numbers_are_levels() -> None:
    values = pd.Series(np.arange(2000) % 19)
    assert compare_column(values, values, LIMITS)[0].measure == "PSI"


def test_a_level_never_seen_before_alarms() -> None:
    before = pd.Series(["a", "b"] * 1000)
    now = before.copy()
    now.iloc[:300] = "c"
    assert compare_column(before, now, LIMITS)[0].alarms(0.001)


def test_nulls_are_a_test_of_their_own() -> None:
    before = draw(1, 2000)
    now = draw(2, 2000)
    now.iloc[:200] = np.nan
    values, nulls = compare_column(before, now, LIMITS)
    assert not values.alarms(0.001)
    assert nulls.measure == "null share"
    assert nulls.effect == pytest.approx(0.1)
    assert nulls.alarms(0.001)


def test_too_few_rows_are_not_compared() -> None:
    assert compare_column(draw(1, 499), draw(2, 5000), LIMITS) == ()


def test_times_are_compared_as_numbers() -> None:
    before = pd.Series(pd.date_range("2020-01-01", periods=1000, freq="h", tz="UTC"))
    (found,) = compare_column(before, before + pd.Timedelta(days=30), LIMITS)
    assert found.measure == "KS distance"
    assert found.alarms(0.001)


def test_nullable_numbers_are_compared() -> None:
    before = pd.Series([*range(1000), None], dtype="Int64")
    values, nulls = compare_column(before, before, LIMITS)
    assert values.effect == 0.0
    assert not nulls.alarms(0.01)


def take_levels(rows: int, share: float, seed: int) -> pd.Series:
    draw = np.random.default_rng(seed)
    levels = np.where(draw.random(rows) < share, "new", draw.choice(["a", "b", "c"], rows))
    return pd.Series(levels, dtype=object)


@pytest.mark.parametrize("share", [0.005, 0.02, 0.045])
def test_a_new_level_that_stays_rare_never_alarms_while_the_table_learns_it(share: float) -> None:
    """Its share in the table grows from nothing to its share in the feed."""
    for turn, before in enumerate(np.linspace(0.0, share, 12)):
        table, batch = take_levels(40_000, before, turn), take_levels(5_000, share, 100 + turn)
        found = compare_column(table, batch, AlarmLimits())
        assert not any(item.alarms(0.01) for item in found), (share, before)


@pytest.mark.parametrize(("before", "now"), [(0.0, 0.08), (0.04, 0.0), (0.02, 0.2)])
def test_a_level_that_is_no_longer_rare_or_that_vanished_alarms(before: float, now: float) -> None:
    table, batch = take_levels(40_000, before, 1), take_levels(5_000, now, 2)
    found = compare_column(table, batch, AlarmLimits())
    assert any(item.alarms(0.01) for item in found)

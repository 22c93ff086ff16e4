"""Scores and tests agree with scipy and statsmodels."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon
from statsmodels.stats.proportion import proportions_ztest

from sluice.drift.scores import (
    bound_shares,
    bound_unseen,
    compare_levels,
    compare_numbers,
    compare_shares,
    score_null_rates,
    score_shares,
    smooth_shares,
)

TOLERANCE = 1e-9
COUNTS = arrays(np.int64, 12, elements=st.integers(0, 5000)).filter(lambda one: one.sum() > 0)


def close(expected: float) -> object:
    return pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


@settings(max_examples=50, deadline=None)
@given(COUNTS, COUNTS)
def test_scores_agree_with_scipy(reference: np.ndarray, current: np.ndarray) -> None:
    p, q = bound_shares(reference), bound_shares(current)
    found = score_shares(p, q)
    assert found.kl == close(stats.entropy(q, p))
    assert found.psi == close(stats.entropy(q, p) + stats.entropy(p, q))
    assert found.js == pytest.approx(jensenshannon(p, q), abs=1e-7)
    assert found.js**2 == close(jensenshannon(p, q) ** 2)


@settings(max_examples=50, deadline=None)
@given(COUNTS, COUNTS)
def test_scores_of_levels_are_finite_and_not_negative(
    reference: np.ndarray, current: np.ndarray
) -> None:
    found = score_shares(smooth_shares(reference), smooth_shares(current))
    assert all(np.isfinite(one) and one >= 0.0 for one in (found.psi, found.kl, found.js))
    assert found.js <= np.sqrt(np.log(2.0)) + TOLERANCE


def test_equal_counts_score_nothing() -> None:
    shares = bound_shares(np.array([5, 0, 95]))
    assert score_shares(shares, shares) == score_shares(shares, shares.copy())
    assert score_shares(shares, shares).psi == 0.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.integers(50, 400), st.integers(50, 400))
def test_d_agrees_with_scipy_on_whole_numbers(seed: int, n: int, m: int) -> None:
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 40, n), random.integers(3, 43, m)
    cells = [np.bincount(values, minlength=50) for values in (one, other)]
    found = compare_numbers(*cells)
    expected = stats.ks_2samp(one, other, method="asymp").statistic
    assert found.statistic == close(expected)
    assert found.p == close(stats.kstwobign.sf(expected * np.sqrt(n * m / (n + m))))


def test_chi_square_agrees_with_scipy() -> None:
    reference, current = np.array([900, 50, 50, 0]), np.array([380, 60, 60, 0])
    found = compare_levels(reference, current)
    expected = stats.chi2_contingency(np.array([reference[:3], current[:3]]), correction=False)
    assert found is not None
    assert (found.statistic, found.p) == (close(expected.statistic), close(expected.pvalue))


def test_rare_levels_are_pooled() -> None:
    reference, current = np.array([500, 400, 8, 8, 9]), np.array([500, 400, 8, 9, 9])
    expected = stats.chi2_contingency([[500, 400, 25], [500, 400, 26]], correction=False)
    found = compare_levels(reference, current)
    assert found is not None
    assert found.statistic == close(expected.statistic)
    assert not found.note


def test_a_pool_that_is_still_rare_is_left_out_and_named() -> None:
    found = compare_levels(np.array([500, 400, 1, 2]), np.array([450, 420, 0, 3]))
    expected = stats.chi2_contingency([[500, 400], [450, 420]], correction=False)
    assert found is not None
    assert found.statistic == close(expected.statistic)
    assert found.note == "2 rare levels with 6 rows left out"


@pytest.mark.parametrize("counts", [([100, 0], [100, 0]), ([100, 0], [0, 0]), ([0], [0])])
def test_one_level_cannot_be_tested(counts: tuple[list[int], list[int]]) -> None:
    assert compare_levels(np.array(counts[0]), np.array(counts[1])) is None


def test_levels_without_a_name_are_pooled_however_many_rows_they_have() -> None:
    expected = stats.chi2_contingency([[500, 408], [500, 309]], correction=False)
    found = compare_levels(np.array([500, 8, 400]), np.array([500, 9, 300]))
    assert found is not None
    assert found.statistic == close(expected.statistic)


def test_the_bound_of_unseen_levels_holds_for_other_rows() -> None:
    random = np.random.default_rng(4)
    drawn = [random.zipf(1.5, 3_000) for _ in range(20)]
    for reference, current in pairwise(drawn):
        levels, counts = np.unique(reference, return_counts=True)
        unseen = np.mean(~np.isin(current, levels))
        assert 0.0 < unseen < bound_unseen(counts, len(current)) < 3 * unseen
    assert bound_unseen(np.array([2, 9, 0]), 500) == 0.0


def test_null_rates_agree_with_statsmodels() -> None:
    found = compare_shares((30, 1000), (80, 1200))
    z, p = proportions_ztest([30, 80], [1000, 1200])
    assert found is not None
    assert found.p == close(p)
    assert found.statistic == close(80 / 1200 - 30 / 1000)
    assert z < 0


@pytest.mark.parametrize("pair", [((0, 10), (0, 10)), ((10, 10), (5, 5)), ((0, 0), (1, 5))])
def test_rates_that_cannot_vary_are_not_tested(
    pair: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    assert compare_shares(*pair) is None


def test_null_rates_have_scores() -> None:
    assert score_null_rates((0, 1000), (1000, 1000)).js > 0.8


def test_no_rows_have_no_shares() -> None:
    none, some = np.zeros(3, dtype=np.int64), np.ones(3, dtype=np.int64)
    with pytest.raises(ValueError, match="no rows"):
        bound_shares(none)
    with pytest.raises(ValueError, match="no rows"):
        compare_numbers(none, some)

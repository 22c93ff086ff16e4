"""Units, effects and power: against statsmodels; Holm against statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from sluice.stats.experiments.multiple import adjust_p_values
from sluice.stats.experiments.power import count_units, find_effect, find_power


@pytest.mark.parametrize("effect", [0.5, 0.1])
def test_units_are_those_of_statsmodels(effect: float) -> None:
    control = TTestIndPower().solve_power(effect, alpha=0.05, power=0.8)
    assert count_units(effect, (1.0, 1.0), 0.5) == pytest.approx(2 * control, abs=1.01)


@pytest.mark.parametrize("ratio", [1 / 9, 0.25])
def test_a_small_arm_costs_more_than_the_normal_distribution_says(ratio: float) -> None:
    weight = ratio / (1 + ratio)
    found = count_units(0.2, (1.0, 1.0), weight)
    normal = NormalIndPower().solve_power(0.2, alpha=0.05, power=0.8, ratio=ratio)
    assert 0 < found - normal * (1 + ratio) < 1.96**2 / 2 / weight + 1


RATES = [(0.2, 0.05, 0.5), (0.2, 0.05, 0.1), (0.2, -0.05, 0.1), (0.9, 0.05, 0.1), (0.05, 0.02, 0.3)]


@pytest.mark.parametrize(("rate", "effect", "weight"), RATES)
def test_units_of_a_rate_have_the_power_by_the_test_that_is_made(
    rate: float, effect: float, weight: float
) -> None:
    """Counted over all outcomes of the pooled z-test, and by statsmodels' approximation."""
    variances = rate * (1 - rate), (rate + effect) * (1 - rate - effect)
    middle = rate + weight * effect
    units = count_units(effect, variances, weight, pooled=middle * (1 - middle))
    assert 0.8 <= find_exact_power(rate, effect, units, weight) < 0.85
    oracle = power_proportions_2indep(effect, rate, units * weight, ratio=(1 - weight) / weight)
    said = find_power(effect, units, variances, weight, pooled=middle * (1 - middle))
    assert said == pytest.approx(oracle.power, abs=0.01)


def find_exact_power(rate: float, effect: float, units: int, weight: float) -> float:
    """Return how probable those pairs of counts are that a two-sided z-test at .05 finds."""
    treated = round(units * weight)
    totals, rates = (units - treated, treated), (rate, rate + effect)
    grids, odds = [], []
    for total, one in zip(totals, rates, strict=True):
        low, high = binom.ppf([1e-7, 1 - 1e-7], total, one)
        grids.append(np.arange(low, high + 1))
        odds.append(binom.pmf(grids[-1], total, one))
    a, b = grids[0][:, None], grids[1][None, :]
    pooled = (a + b) / units
    error = np.sqrt(pooled * (1 - pooled) * (1 / totals[0] + 1 / totals[1]))
    found = np.abs(b / totals[1] - a / totals[0]) > norm.isf(0.025) * error
    return float(odds[0] @ found @ odds[1])


@settings(deadline=None)
@given(st.floats(1e-3, 2), st.floats(0.05, 0.95), st.floats(0.01, 0.2), st.floats(0.5, 0.95))
def test_effect_units_and_power_say_the_same(
    effect: float, weight: float, alpha: float, power: float
) -> None:
    units = count_units(effect, (1.0, 2.0), weight, alpha, power)
    assert find_effect(units, (1.0, 2.0), weight, alpha, power) <= effect * (1 + 1e-9)
    assert find_power(effect, units, (1.0, 2.0), weight, alpha) >= power - 1e-9


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_what_cannot_be_planned_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="allowed: between 0 and 1"):
        count_units(0.1, (1.0, 1.0), weight)
    with pytest.raises(ValueError, match="needed: an effect other than 0"):
        count_units(0.0, (1.0, 1.0), 0.5)
    with pytest.raises(ValueError, match="units that differ"):
        count_units(0.1, (0.0, 0.0), 0.5)
    with pytest.raises(ValueError, match="needed: more than 0"):
        find_effect(0, (1.0, 1.0), 0.5)
    with pytest.raises(ValueError, match="needed: more than 0"):
        find_power(0.1, 0, (1.0, 1.0), 0.5)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_holm_is_that_of_statsmodels(count: int) -> None:
    """Few cases: each call of the oracle collects all garbage of the process."""
    p_values = [float(p) for p in np.random.default_rng(count).uniform(0, 1, count) ** 3]
    oracle = multipletests(p_values, method="holm")[1]
    assert adjust_p_values(p_values) == pytest.approx(list(oracle))

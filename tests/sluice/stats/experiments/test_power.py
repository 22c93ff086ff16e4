"""Units, effects and power: against statsmodels; Holm against statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from sluice.stats.experiments.multiple import adjust_p_values
from sluice.stats.experiments.power import count_units, find_effect, find_power


@pytest.mark.parametrize(("effect", "ratio"), [(0.5, 1.0), (0.1, 1 / 9), (0.02, 0.25)])
def test_units_are_those_of_statsmodels(effect: float, ratio: float) -> None:
    weight = ratio / (1 + ratio)
    found = count_units(effect, (1.0, 1.0), weight, 0.05, 0.8)
    control = NormalIndPower().solve_power(effect, alpha=0.05, power=0.8, ratio=ratio)
    assert found == pytest.approx(control * (1 + ratio), abs=1.01)


def test_units_of_a_rate_have_the_power_that_statsmodels_says() -> None:
    low, high, weight = 0.10, 0.11, 0.5
    units = count_units(0.01, (low * (1 - low), high * (1 - high)), weight)
    oracle = power_proportions_2indep(0.01, low, units * (1 - weight), ratio=1.0)
    assert oracle.power == pytest.approx(0.8, abs=0.005)


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

"""CUPED: what it leaves of the variance, and that it moves no difference."""

import numpy as np
import pytest

from sluice.stats.experiments.covariate import adjust_values, linearise_ratio
from sluice.stats.experiments.means import compare_means, estimate_ratio


def draw(rng: np.random.Generator, correlation: float, units: int = 4000) -> tuple[np.ndarray, ...]:
    x = rng.normal(5, 2, units)
    y = correlation * (x - 5) / 2 + np.sqrt(1 - correlation**2) * rng.normal(size=units)
    return y, x


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_variance_left_is_one_less_the_squared_correlation(correlation: float) -> None:
    y, x = draw(np.random.default_rng(6), correlation)
    found = adjust_values(y, x)
    assert found.variance_ratio == pytest.approx(1 - np.corrcoef(y, x)[0, 1] ** 2)
    assert found.variance_ratio == pytest.approx(1 - correlation**2, abs=0.04)
    assert found.values.mean() == pytest.approx(y.mean())


def test_the_effect_stays_where_it_is() -> None:
    rng = np.random.default_rng(7)
    gaps, plain = [], []
    for _ in range(200):
        y, x = draw(rng, 0.8, 600)
        arm = rng.integers(0, 2, 600)
        y = y + 0.2 * arm
        adjusted = adjust_values(y, x, arm).values
        gaps.append(compare_means(adjusted[arm == 0], adjusted[arm == 1]).difference)
        plain.append(compare_means(y[arm == 0], y[arm == 1]).difference)
    assert np.mean(gaps) == pytest.approx(0.2, abs=0.02)
    assert np.var(gaps) / np.var(plain) == pytest.approx(0.36, abs=0.12)


def test_units_without_a_covariate_are_left_as_they_are() -> None:
    y, x = draw(np.random.default_rng(8), 0.9)
    x[::2] = np.nan
    found = adjust_values(y, x)
    assert found.known == 2000
    assert found.values[::2] == pytest.approx(y[::2])
    assert adjust_values(y, np.full(4000, np.nan)).variance_ratio == 1.0
    assert adjust_values(y, np.full(4000, 3.0)).variance_ratio == 1.0
    with pytest.raises(ValueError, match="4000 values and 3 covariates"):
        adjust_values(y, x[:3])


def test_a_linearised_ratio_has_the_ratios_difference_and_variance() -> None:
    rng = np.random.default_rng(9)
    counts = rng.geometric(0.1, 6000).astype(float)
    sums = rng.binomial(counts.astype(int), 0.2).astype(float)
    values = linearise_ratio(sums, counts)
    whole = estimate_ratio(sums, counts)
    assert values.mean() == pytest.approx(0, abs=1e-12)
    assert values.var(ddof=1) / 6000 == pytest.approx(whole.variance)
    halves = [
        estimate_ratio(sums[part], counts[part]).value for part in (slice(3000), slice(3000, None))
    ]
    assert values[3000:].mean() - values[:3000].mean() == pytest.approx(
        halves[1] - halves[0], rel=0.05
    )
    with pytest.raises(ValueError, match="nothing counted"):
        linearise_ratio(np.zeros(3), np.zeros(3))

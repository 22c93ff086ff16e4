"""Means and ratios compared by unit: Welch's test, and the delta method for sum x / sum n.

An analysis by request takes a user's requests for independent ones. With users of whom a few send
most requests, such a z-test finds a difference between equal arms in most experiments.
"""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
LEAST_UNITS = 2


@dataclass(frozen=True)
class UnitEstimate:
    """A figure of one arm with the variance of that figure, from so many units."""

    value: float
    variance: float
    """Of the estimate itself: the squared standard error."""
    units: int


@dataclass(frozen=True)
class MeanComparison:
    """Figures of the control (a) and the treatment (b), and their difference b - a.

    `lift` is (b - a) / |a|; None where a is 0. `low` and `high` bound the difference.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    lift: float | None
    t_score: float
    p_value: float
    significant: bool
    method: Literal["welch", "delta"]


def estimate_mean(values: Values) -> UnitEstimate:
    """Return the mean over units and its variance.

    Raises:
        ValueError: there are fewer than two units, or their variance is no finite number.
    """
    _require_units(len(values))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = float(np.mean(values)), float(np.var(values, ddof=1))
    return _require_finite(UnitEstimate(mean, spread / len(values), len(values)), values)


def estimate_ratio(sums: Values, counts: Values) -> UnitEstimate:
    """Return sum x / sum n over units and its variance by the delta method.

    (S_xx - 2 R S_xn + R^2 S_nn) / (k mean(n)^2) for k units (Deng, Knoblich and Lu 2018).

    Raises:
        ValueError: there are fewer than two units, nothing was counted, or the variance is no
            finite number.
    """
    _require_units(len(sums))
    mean = float(np.mean(counts))
    if mean <= 0:
        raise ValueError(f"found nothing counted in {len(counts)} units; needed: a count above 0")
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = float(np.sum(sums) / np.sum(counts))
        residuals = sums - ratio * counts
        spread = float(np.sum((residuals - residuals.mean()) ** 2)) / (len(sums) - 1)
    return _require_finite(UnitEstimate(ratio, spread / (len(sums) * mean**2), len(sums)), sums)


def compare_means(values_a: Values, values_b: Values, alpha: float = 0.05) -> MeanComparison:
    """Compare the means of two arms, two-sided, by Welch's test; one value a unit.

    Raises:
        ValueError: an arm has fewer than two units, or neither arm varies although they differ.
    """
    return compare_estimates(estimate_mean(values_a), estimate_mean(values_b), alpha)


def compare_ratios(
    arm_a: tuple[Values, Values], arm_b: tuple[Values, Values], alpha: float = 0.05
) -> MeanComparison:
    """Compare sum x / sum n of two arms, two-sided; an arm is (sums, counts), one entry a unit.

    Raises:
        ValueError: an arm has fewer than two units or nothing counted, or neither arm varies.
    """
    found = estimate_ratio(*arm_a), estimate_ratio(*arm_b)
    return compare_estimates(*found, alpha, method="delta")


def compare_estimates(
    a: UnitEstimate, b: UnitEstimate, alpha: float, method: Literal["welch", "delta"] = "welch"
) -> MeanComparison:
    """Compare two estimates; Welch's degrees of freedom, the normal distribution for `delta`.

    Raises:
        ValueError: neither arm varies, although they differ.
    """
    from scipy.stats import norm, t

    difference, variance = b.value - a.value, a.variance + b.variance
    if variance <= 0 and difference:
        raise ValueError(
            f"found {a.value:g} in every unit of one arm and {b.value:g} in every unit of the "
            "other; needed: an arm whose units differ"
        )
    if method == "delta" or variance <= 0:
        law = norm
    else:
        parts = a.variance**2 / (a.units - 1) + b.variance**2 / (b.units - 1)
        law = t(variance**2 / parts)
    error = sqrt(variance)
    score = difference / error if error else 0.0
    p_value, half = float(2 * law.sf(abs(score))), float(law.isf(alpha / 2)) * error
    return MeanComparison(
        mean_a=a.value,
        mean_b=b.value,
        difference=difference,
        low=difference - half,
        high=difference + half,
        lift=difference / abs(a.value) if a.value else None,
        t_score=score,
        p_value=p_value,
        significant=p_value < alpha,
        method=method,
    )


def _require_finite(found: UnitEstimate, values: Values) -> UnitEstimate:
    if not isfinite(found.value) or not isfinite(found.variance):
        largest = float(np.max(np.abs(values)))
        raise ValueError(
            f"found {largest:g} in a unit, whose square is too large for a number; next: a `cap`, "
            "and find who sends it"
        )
    return found


def _require_units(units: int) -> None:
    if units < LEAST_UNITS:
        raise ValueError(f"found {units} units in an arm; needed: at least {LEAST_UNITS}")

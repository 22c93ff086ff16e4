"""Calibration of probabilities: in the large, by slope, and bin by bin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.stats.bootstrap import Estimate
from sluice.stats.ranking import Floats

Z95 = 1.6448536269514722
"""The standard normal's 95 % quantile: bounds are one-sided 95 % each."""
_CLIP = 1e-6
_STEPS = 50


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar probability: their mean prediction and their observed share of positives."""

    predicted: float
    observed: float
    low: float
    high: float
    n: int


def measure_gap(y: NDArray[np.int64], scores: Floats, groups: NDArray[np.int64] | None) -> Estimate:
    """Measure calibration in the large: mean prediction minus observed share of positives.

    Above 0 the predicted probabilities are too high. Bounds are normal, from the standard deviation
    of prediction minus outcome; the rows of one group count as one draw.
    """
    n = len(y)
    surplus = scores - y
    gap = float(surplus.mean())
    sums = _sum_by_group((surplus - gap)[:, None], groups)[:, 0]
    units = len(sums)
    if units < 2:
        return Estimate(gap, None, None, n)
    error = float(np.sqrt((sums**2).sum() * units / (units - 1))) / n
    return Estimate(gap, gap - Z95 * error, gap + Z95 * error, n, error)


def measure_slope(
    y: NDArray[np.int64], scores: Floats, groups: NDArray[np.int64] | None
) -> Estimate:
    """Measure the calibration slope b of logit P(y = 1) = a + b logit(score).

    1 is calibrated, below 1 the model is overconfident, above 1 underconfident (Cox 1958). Wald
    bounds; with groups the variance is the cluster sandwich (Liang, Zeger 1986). Not measurable
    when the scores separate the outcomes, or when all scores are equal.
    """
    clipped = np.clip(scores, _CLIP, 1.0 - _CLIP)
    design = np.column_stack([np.ones(len(y)), np.log(clipped / (1.0 - clipped))])
    fitted = _fit_logistic(design, y)
    if fitted is None:
        return Estimate(None, None, None, len(y))
    coefficients, covariance = fitted
    if groups is not None:
        residual = y - _logistic(design @ coefficients)
        sums = _sum_by_group(design * residual[:, None], groups)
        covariance = covariance @ (sums.T @ sums) @ covariance
    slope, error = float(coefficients[1]), float(np.sqrt(covariance[1, 1]))
    return Estimate(slope, slope - Z95 * error, slope + Z95 * error, len(y), error)


def bin_reliability(
    y: NDArray[np.int64], scores: Floats, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Divide the rows into bins of about equal size by score, with two-sided 95 % Wilson bounds."""
    edges = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    places = np.searchsorted(edges, scores, side="right")
    return tuple(
        _summarize_bin(y[places == place], scores[places == place]) for place in np.unique(places)
    )


def _summarize_bin(y: NDArray[np.int64], scores: Floats) -> ReliabilityBin:
    n, z, share = len(y), 1.959963984540054, float(y.mean())
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    return ReliabilityBin(float(scores.mean()), share, centre - reach, centre + reach, n)


def _logistic(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -700.0, 700.0))))


def _fit_logistic(design: Floats, y: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    """Return coefficients and covariance of a fit by Newton's method; None if it diverges."""
    coefficients = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        fitted = _logistic(design @ coefficients)
        information = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, design.T @ (y - fitted))
        coefficients = coefficients + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            return coefficients, np.asarray(np.linalg.inv(information), dtype=np.float64)
    return None


def _sum_by_group(values: Floats, groups: NDArray[np.int64] | None) -> Floats:
    if groups is None:
        return values
    columns = [np.bincount(groups, weights=column) for column in values.T]
    return np.column_stack(columns)

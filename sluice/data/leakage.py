"""Target leakage: how well one feature alone predicts the target.

A feature that predicts it too well was probably filled in after the outcome was known.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
BINS = 32
LEAST_ROWS = 200
"""Fewest rows that are judged; each class needs a tenth of them."""
Z = 1.959963984540054


@dataclass(frozen=True)
class FeaturePower:
    """How well one feature alone predicts the target: .5 not at all, 1 perfectly.

    `power` is the area under the ROC curve (the best class against the rest for multiclass), or
    (1 + R2) / 2 for regression; None where the rows do not suffice. `interval` is 95 %, `part`
    names the rows on which the power is highest.
    """

    feature: str
    power: float | None
    interval: tuple[float, float] | None
    n: int
    part: str


def measure_leakage(
    frame: "pd.DataFrame",
    new: "pd.Series[bool]",
    features: tuple[str, ...],
    target: str,
    problem: Problem,
) -> tuple[FeaturePower, ...]:
    """Measure each feature alone, on all rows and on the `new` ones, and return the higher power.

    Otherwise the older rows would hide a leak that starts with the newest rows.
    """
    labelled = frame[target].notna()
    parts = {"all rows": labelled}
    if 0 < new.sum() < len(frame):
        parts["new rows"] = labelled & new
    found = []
    for feature in features:
        powers = [
            _measure_part(feature, frame.loc[rows, feature], frame.loc[rows, target], problem, part)
            for part, rows in parts.items()
        ]
        found.append(max(powers, key=lambda item: item.power if item.power is not None else -1.0))
    return tuple(found)


def estimate_power(
    values: "pd.Series[Any]", target: "pd.Series[Any]", problem: Problem
) -> tuple[float, float] | None:
    """Return a feature's predictive power and its standard error; None where rows do not suffice.

    Numbers are cut into 32 quantile bins; null is a level. The target's mean of each level on four
    fifths of the rows predicts the last fifth, five times. Therefore a column with only unique
    values has no power. Folds are assigned by position, seed 0.
    """
    if len(values) < LEAST_ROWS:
        return None
    levels = number_levels(values)
    folds = np.random.default_rng(0).permutation(len(levels)) % FOLDS
    if problem == "regression":
        return _explain_variance(target.to_numpy(dtype=np.float64), levels, folds)
    classes, counts = np.unique(target.to_numpy(), return_counts=True)
    if len(classes) < 2:
        return None
    measured_classes = classes[1:] if len(classes) == 2 else classes[counts >= LEAST_ROWS // 10]
    powers = []
    for chosen in measured_classes:
        positive = (target == chosen).to_numpy(dtype=np.float64)
        if min(positive.sum(), len(positive) - positive.sum()) >= LEAST_ROWS // 10:
            powers.append(rank_rates(positive, _cross_rates(positive, levels, folds)))
    return max(powers) if powers else None


def number_levels(values: "pd.Series[Any]") -> NDArray[np.int64]:
    """Return each row's level as an integer from 0; null is a level of its own."""
    import pandas as pd

    codes, levels = pd.factorize(values)
    codes = codes.astype(np.int64) + 1
    if values.dtype.kind in "iufM" and len(levels) > BINS:
        present = codes > 0
        numbers = values[present].to_numpy()
        edges = np.unique(np.sort(numbers)[np.arange(1, BINS) * len(numbers) // BINS])
        codes[present] = np.searchsorted(edges, numbers, side="right") + 1
    return codes


def rank_rates(positive: NDArray[np.float64], rates: NDArray[np.float64]) -> tuple[float, float]:
    """Return the area under the ROC curve of `rates`, at least .5, and its standard error.

    Ties count half (Mann-Whitney); the error is that of Hanley and McNeil (1982). Shapes (n,).
    """
    _, place = np.unique(rates, return_inverse=True)
    hits = np.bincount(place, weights=positive)
    misses = np.bincount(place) - hits
    n_hits, n_misses = hits.sum(), misses.sum()
    below = np.cumsum(misses) - misses
    area = max(0.5, float((hits * (below + misses / 2)).sum() / (n_hits * n_misses)))
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (
        area * (1 - area) + (n_hits - 1) * (first - area**2) + (n_misses - 1) * (second - area**2)
    )
    return area, float(np.sqrt(max(spread, 0.0) / (n_hits * n_misses)))


def _measure_part(
    feature: str, values: "pd.Series[Any]", target: "pd.Series[Any]", problem: Problem, part: str
) -> FeaturePower:
    found = estimate_power(values, target, problem)
    if found is None:
        return FeaturePower(feature, None, None, len(values), part)
    power, error = found
    interval = (max(0.5, power - Z * error), min(1.0, power + Z * error))
    return FeaturePower(feature, power, interval, len(values), part)


def _cross_rates(
    target: NDArray[np.float64], levels: NDArray[np.int64], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each row's mean target of its level in the other folds, shrunk to the mean of all."""
    size = int(levels.max()) + 1
    rates = np.empty(len(target))
    for fold in range(FOLDS):
        held = folds == fold
        mean = target[~held].mean()
        rows = np.bincount(levels[~held], minlength=size)
        sums = np.bincount(levels[~held], weights=target[~held], minlength=size)
        rates[held] = ((sums + mean) / (rows + 1))[levels[held]]
    return rates


def _explain_variance(
    target: NDArray[np.float64], levels: NDArray[np.int64], folds: NDArray[np.int64]
) -> tuple[float, float] | None:
    """Return (1 + R2) / 2 of the cross-fitted means, R2 at least 0, and its standard error.

    The error is that of R2 with one predictor in a large sample (Olkin and Finn 1995).
    """
    total = float(((target - target.mean()) ** 2).sum())
    if total == 0.0:
        return None
    left = float(((target - _cross_rates(target, levels, folds)) ** 2).sum())
    explained = max(0.0, 1.0 - left / total)
    error = np.sqrt(4 * explained * (1 - explained) ** 2 / len(target))
    return (1 + explained) / 2, float(error) / 2

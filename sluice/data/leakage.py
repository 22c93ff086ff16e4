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
EXACT = 0.99
"""Power above which a feature is as good as the target itself: a copy, a code, an order of it."""
FEW_VALUES = 6
"""Most values of a column that may code classes, unless there are more classes."""
Z = 1.959963984540054


@dataclass(frozen=True)
class FeaturePower:
    """How well one feature alone predicts the target: .5 not at all, 1 perfectly.

    `power` is the area under the ROC curve for two classes, (1 + R2) / 2 for numbers, and
    (1 + tau) / 2 for several classes, where tau is the share of the Gini impurity of all classes
    that the feature removes; None where the rows do not suffice. `interval` is 95 %, `part` names
    the rows on which the power is highest.
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
    import pandas as pd

    outcome = frame[target]
    labelled = outcome.notna()
    if problem != "regression":  # codes in the order of the classes: words are slow to compare
        outcome = pd.Series(pd.factorize(outcome, sort=True)[0], index=frame.index)
    parts = {"all rows": labelled}
    if 0 < new.sum() < len(frame):
        parts["new rows"] = labelled & new
    found = []
    for feature in features:
        powers = [
            _measure_part(feature, frame.loc[rows, feature], outcome[rows], problem, part)
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

    Several classes are judged by the gain over all of them (Goodman and Kruskal's tau): an honest
    measurement often separates one class from the others. A column of few values, which may code
    the classes, has the mean area of all classes; one that names a class exactly, by its gaps or
    by one of few values, has that class's area. A number that orders a numeric target exactly has
    the power for its ranks: on a skewed target the bins of a copy explain little.
    """
    import pandas as pd

    if len(values) < LEAST_ROWS:
        return None
    levels = number_levels(values)
    folds = np.random.default_rng(0).permutation(len(levels)) % FOLDS
    if problem == "regression":
        return _explain_numbers(target.to_numpy(dtype=np.float64), levels, folds)
    classes, places = np.unique(target.to_numpy(), return_inverse=True)
    if len(classes) < 2:
        return None
    if len(classes) == 2:
        positive = places.astype(np.float64)
        if min(positive.sum(), len(positive) - positive.sum()) < LEAST_ROWS // 10:
            return None
        return rank_rates(positive, _cross_rates(positive, levels, folds))
    gained = _explain_classes(places, len(classes), levels, folds)
    few = values.nunique() <= max(FEW_VALUES, len(classes) + 2)
    codes = pd.factorize(values)[0] + 1 if few else find_pattern(values)
    return max(gained, _code_classes(places, len(classes), codes, few))


def estimate_gain(values: "pd.Series[Any]", target: "pd.Series[Any]") -> float | None:
    """Return the power of a feature over all classes, (1 + tau) / 2; None with too few rows.

    It leaves aside that the feature may name one class exactly.
    """
    if len(values) < LEAST_ROWS:
        return None
    folds = np.random.default_rng(0).permutation(len(values)) % FOLDS
    classes, places = np.unique(target.to_numpy(), return_inverse=True)
    return _explain_classes(places, len(classes), number_levels(values), folds)[0]


def estimate_order(
    values: "pd.Series[Any]", target: "pd.Series[Any]", problem: Problem
) -> float | None:
    """Return the power of a number without bins, which does not depend on how many rows there are.

    Bins of few rows show less of a feature than those of many, which show at least this. The area
    under the ROC curve of the number itself for two classes, or (1 + r2) / 2, with Pearson's r, for
    a number to predict. None for others, and where the rows do not suffice.
    """
    known = (values.notna() & target.notna()).to_numpy()
    if values.dtype.kind not in "iuf" or known.sum() < LEAST_ROWS:
        return None
    numbers, outcome = values[known].to_numpy(dtype=np.float64), target[known].to_numpy()
    if problem == "regression":
        outcome = outcome.astype(np.float64)
        if min(np.ptp(numbers), np.ptp(outcome)) == 0.0:
            return None
        r = float(np.corrcoef(numbers, outcome)[0, 1])
        return (1.0 + r * r) / 2
    classes, places = np.unique(outcome, return_inverse=True)
    counts = np.bincount(places, minlength=1)
    if len(classes) != 2 or counts.min() < LEAST_ROWS // 10:
        return None
    area, _ = rank_rates(places.astype(np.float64), numbers)
    return max(area, 1.0 - area)


def find_pattern(values: "pd.Series[Any]") -> NDArray[np.int64]:
    """Return 0 for null, 1 for the most frequent value and 2 for any other, shape (n,).

    A column that is filled in after the outcome shows it by its gaps, or by a value such as 0.
    """
    import pandas as pd

    codes, levels = pd.factorize(values)
    if len(levels) == 0:
        return np.zeros(len(values), dtype=np.int64)
    most = int(np.bincount(codes[codes >= 0]).argmax())
    return np.where(codes < 0, 0, np.where(codes == most, 1, 2)).astype(np.int64)


def has_few_values(values: "pd.Series[Any]") -> bool:
    """Return whether a column has at most 32 different values, so that each is a level."""
    return int(values.nunique()) <= BINS


def number_levels(values: "pd.Series[Any]") -> NDArray[np.int64]:
    """Return each row's level as an integer from 0; null is a level of its own."""
    import pandas as pd

    if values.dtype.kind in "iufM":
        present = values.notna().to_numpy()
        numbers = values[present].to_numpy()
        ordered = np.sort(numbers)
        if np.count_nonzero(ordered[1:] != ordered[:-1]) >= BINS:
            edges = np.unique(ordered[np.arange(1, BINS) * len(numbers) // BINS])
            codes = np.zeros(len(values), dtype=np.int64)
            codes[present] = np.searchsorted(edges, numbers, side="right") + 1
            return codes
    return pd.factorize(values)[0].astype(np.int64) + 1


def rank_rates(positive: NDArray[np.float64], rates: NDArray[np.float64]) -> tuple[float, float]:
    """Return the area under the ROC curve of `rates`, at least .5, and its standard error.

    Ties count half (Mann-Whitney); the error is that of Hanley and McNeil (1982). Shapes (n,).
    """
    import pandas as pd

    place, _ = pd.factorize(rates, sort=True)
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
    cells = folds * size + levels
    rows = np.bincount(cells, minlength=FOLDS * size).reshape(FOLDS, size)
    sums = np.bincount(cells, weights=target, minlength=FOLDS * size).reshape(FOLDS, size)
    rows, sums = rows.sum(axis=0) - rows, sums.sum(axis=0) - sums
    means = sums.sum(axis=1) / rows.sum(axis=1)
    rates: NDArray[np.float64] = ((sums + means[:, np.newaxis]) / (rows + 1)).ravel()[cells]
    return rates


def _explain_classes(
    places: NDArray[np.int64], classes: int, levels: NDArray[np.int64], folds: NDArray[np.int64]
) -> tuple[float, float]:
    """Return (1 + tau) / 2 of the cross-fitted shares of each class, and its standard error.

    tau is the share of the Brier score of the constant shares that a level's shares remove; its
    error is the delta method's for a ratio of means.
    """
    size = int(levels.max()) + 1
    left, total = np.empty(len(places)), np.empty(len(places))
    for fold in range(FOLDS):
        held = folds == fold
        counts = np.bincount(
            levels[~held] * classes + places[~held], minlength=size * classes
        ).reshape(size, classes)
        shares = counts.sum(axis=0) / counts.sum()
        rates = (counts + shares) / (counts.sum(axis=1, keepdims=True) + 1.0)
        y, level = places[held], levels[held]
        left[held] = 1.0 - 2.0 * rates[level, y] + (rates**2).sum(axis=1)[level]
        total[held] = 1.0 - 2.0 * shares[y] + (shares**2).sum()
    tau = 1.0 - float(left.sum() / total.sum())
    error = float((left - (1.0 - tau) * total).std() / total.mean() / np.sqrt(len(places)))
    return (1.0 + max(0.0, tau)) / 2, error / 2


def _code_classes(
    places: NDArray[np.int64], classes: int, codes: NDArray[np.int64], few: bool
) -> tuple[float, float]:
    """Return the area under the ROC curve of values that code classes, and its standard error.

    It is the area of a class that a value or a gap names exactly; else, of `few` values, the mean
    of each class against the rest; else .5. Classes of fewer than 20 rows are left out.
    """
    table = np.bincount(codes * classes + places, minlength=(int(codes.max()) + 1) * classes)
    table = table.reshape(-1, classes)
    hits, rows = table.sum(axis=0), table.sum(axis=1)
    known = np.minimum(hits, len(places) - hits) >= LEAST_ROWS // 10
    if not known.any():
        return 0.5, 0.0
    areas = rank_levels(table)
    best = int(np.where(known, areas, 0.0).argmax())
    if areas[best] > EXACT:
        rates = table[:, best] / np.maximum(rows, 1)
        return rank_rates((places == best).astype(np.float64), rates[codes])
    if not few:
        return 0.5, 0.0
    mean = float(np.average(areas[known], weights=hits[known]))
    return mean, float(np.sqrt(mean * (1.0 - mean) / hits[known].min()))


def rank_levels(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each class's area under the ROC curve of its share in each level.

    `table`, shape (levels, classes), counts rows. Levels of equal shares count half, as ties do.
    """
    rows = table.sum(axis=1, keepdims=True)
    order = np.argsort(table / np.maximum(rows, 1), axis=0, kind="stable")
    hits = np.take_along_axis(table, order, axis=0).astype(np.float64)
    misses = np.take_along_axis(rows - table, order, axis=0)
    below = np.cumsum(misses, axis=0) - misses
    pairs = np.maximum(hits.sum(axis=0) * misses.sum(axis=0), 1.0)
    return np.asarray((hits * (below + misses / 2)).sum(axis=0) / pairs)


def _explain_numbers(
    target: NDArray[np.float64], levels: NDArray[np.int64], folds: NDArray[np.int64]
) -> tuple[float, float] | None:
    """Return the power for the target itself, or for its ranks where it orders them exactly."""
    from scipy.stats import rankdata

    plain = _explain_variance(target, levels, folds)
    ordered = _explain_variance(rankdata(target), levels, folds)
    exact = ordered is not None and ordered[0] > EXACT
    return max(plain, ordered) if exact and plain is not None and ordered is not None else plain


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

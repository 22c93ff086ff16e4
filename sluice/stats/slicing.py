"""Slices of the held-out rows, and the candidate's figures in each."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.evaluation import Slices
from sluice.config.model import Problem
from sluice.metrics import Metric
from sluice.stats.bootstrap import Estimate, step_down
from sluice.stats.holdout import Predictions, name_values
from sluice.stats.ranking import Floats, Statistic

if TYPE_CHECKING:
    from pandas import DataFrame

_ALPHA = 0.05
_TAIL = 5  # with fewer draws beyond a percentile it is too coarse: the normal's is used


@dataclass(frozen=True, eq=False)
class Slice:
    """The rows in which a column has one value; `judged` where there are enough of them."""

    column: str
    value: str
    rows: NDArray[np.int64]
    judged: bool

    def restrict(
        self, metric: Metric, problem: Problem, y: NDArray[Any], predictions: Predictions
    ) -> Statistic:
        """Prepare the metric on the slice's rows; the statistic takes the weights of all rows."""
        scores = None if predictions.scores is None else predictions.scores[self.rows]
        part = Predictions(predictions.labels[self.rows], scores, predictions.classes)
        statistic = metric.prepare[problem](y[self.rows], part)
        return lambda weights: statistic(weights.T.take(self.rows, axis=0).T)


@dataclass(frozen=True)
class SliceFigure:
    """The primary metric in one slice.

    A positive `difference` is better; its bounds are one-sided at 1 - `level`, the slice's level in
    Holm's procedure. None: the slice is too small, or the metric is not measurable.
    """

    column: str
    value: str
    n: int
    candidate: float | None = None
    champion: float | None = None
    difference: Estimate | None = None
    level: float | None = None

    @property
    def name(self) -> str:
        """The slice as `column=value`."""
        return f"{self.column}={self.value}"


def find_slices(config: Slices, frame: "DataFrame") -> tuple[Slice, ...]:
    """Return a slice for each value of each configured column, largest first within a column."""
    found: list[Slice] = []
    for column in config.columns:
        named = name_values(frame, column)
        values, places, counts = np.unique(
            named.astype(str), return_inverse=True, return_counts=True
        )
        for index in np.argsort(-counts, kind="stable"):
            rows = np.flatnonzero(places == index)
            found.append(Slice(column, str(values[index]), rows, len(rows) >= config.minimum))
    return tuple(found)


def compare_slices(
    slices: Sequence[Slice], metric: Metric, values: Floats, draws: Floats, margin: float
) -> tuple[SliceFigure, ...]:
    """Compare the models in each slice; bounds are at the levels of Holm's step-down test.

    `values`, shape (2 x judged,), and `draws`, shape (2 x judged, draws), alternate candidate and
    champion. The hypotheses are "no more than `margin` worse".
    """
    judged = [part for part in slices if part.judged]
    points = metric.sign * (values[::2] - values[1::2])
    drawn = metric.sign * (draws[::2] - draws[1::2])
    usable = [
        index
        for index in range(len(judged))
        if np.isfinite(points[index]) and np.isfinite(drawn[index]).mean() >= 0.99
    ]
    normal = len(usable) * _TAIL > _ALPHA * draws.shape[1]
    levels = step_down(
        [_find_p(points[index], drawn[index], margin, normal) for index in usable], _ALPHA
    ).levels
    figures = {id(part): SliceFigure(part.column, part.value, len(part.rows)) for part in slices}
    for index, level in zip(usable, levels, strict=True):
        part = judged[index]
        bounds = _bound(points[index], drawn[index], len(part.rows), float(level), normal)
        candidate, champion = float(values[2 * index]), float(values[2 * index + 1])
        figures[id(part)] = SliceFigure(
            part.column, part.value, len(part.rows), candidate, champion, bounds, float(level)
        )
    return tuple(figures.values())


def _find_p(point: float, drawn: Floats, margin: float, normal: bool) -> float:
    if not normal:
        return float(np.mean(drawn[np.isfinite(drawn)] >= -margin))
    error = float(np.nanstd(drawn, ddof=1))
    if error == 0.0:
        return float(point >= -margin)
    return NormalDist().cdf((point + margin) / error)


def _bound(point: float, drawn: Floats, n: int, level: float, normal: bool) -> Estimate:
    defined = drawn[np.isfinite(drawn)]
    error = float(defined.std(ddof=1))
    if normal:
        reach = NormalDist().inv_cdf(1.0 - level) * error
        return Estimate(float(point), float(point) - reach, float(point) + reach, n, error)
    low, high = np.quantile(defined, [level, 1.0 - level])
    return Estimate(float(point), float(low), float(high), n, error)

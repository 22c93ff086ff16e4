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
from sluice.stats.ranking import Floats, Restricted
from sluice.stats.variation import Drawn, Influence, subtract

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
    ) -> Restricted:
        """Prepare the metric on the slice's rows; the statistic takes the weights of all rows."""
        scores = None if predictions.scores is None else predictions.scores[self.rows]
        part = Predictions(predictions.labels[self.rows], scores, predictions.classes)
        statistic = metric.prepare[problem](y[self.rows], part)
        return Restricted(statistic, self.rows, len(y))


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
    slices: Sequence[Slice],
    metric: Metric,
    values: Floats,
    variations: Sequence[Sequence[Drawn] | Sequence[Influence]],
    margin: float,
) -> tuple[SliceFigure, ...]:
    """Compare the models in each slice; bounds are at the levels of Holm's step-down test.

    `values`, shape (2 x judged,), alternates candidate and champion; `variations` has the pair of
    each judged slice. The hypotheses are "no more than `margin` worse".
    """
    judged = [part for part in slices if part.judged]
    points = metric.sign * (values[::2] - values[1::2])
    differences = [subtract(pair, metric.sign) for pair in variations]
    usable = [
        index
        for index in range(len(judged))
        if np.isfinite(points[index]) and differences[index].is_defined
    ]
    levels = step_down(
        [_find_p(points[at], differences[at], margin, len(usable)) for at in usable], _ALPHA
    ).levels
    figures = {id(part): SliceFigure(part.column, part.value, len(part.rows)) for part in slices}
    for index, level in zip(usable, levels, strict=True):
        part = judged[index]
        bounds = _bound(
            points[index], differences[index], len(part.rows), float(level), len(usable)
        )
        candidate, champion = float(values[2 * index]), float(values[2 * index + 1])
        figures[id(part)] = SliceFigure(
            part.column, part.value, len(part.rows), candidate, champion, bounds, float(level)
        )
    return tuple(figures.values())


def _is_coarse(difference: Drawn | Influence, slices: int) -> bool:
    """Whether the tail of so many slices needs the normal's, for want of draws."""
    return isinstance(difference, Drawn) and slices * _TAIL > _ALPHA * len(difference.draws)


def _find_p(point: float, difference: Drawn | Influence, margin: float, slices: int) -> float:
    if isinstance(difference, Drawn) and not _is_coarse(difference, slices):
        drawn = difference.draws
        return float(np.mean(drawn[np.isfinite(drawn)] >= -margin))
    error = difference.error
    if error == 0.0:
        return float(point >= -margin)
    return NormalDist().cdf((point + margin) / error)


def _bound(
    point: float, difference: Drawn | Influence, n: int, level: float, slices: int
) -> Estimate:
    if _is_coarse(difference, slices):
        error = difference.error
        reach = NormalDist().inv_cdf(1.0 - level) * error
        return Estimate(float(point), float(point) - reach, float(point) + reach, n, error)
    return difference.bound(float(point), n, level)

"""Figures of performance with their standard errors, over all rows and by slice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sluice.config.data import ColumnKind
from sluice.config.evaluation import Slices
from sluice.config.model import Problem
from sluice.metrics import METRICS, list_metrics
from sluice.stats.holdout import Predictions, mark_class, mark_predictions
from sluice.stats.ranking import Floats
from sluice.stats.slicing import Slice, find_slices

if TYPE_CHECKING:
    from pandas import DataFrame

Finite = Annotated[float, Field(allow_inf_nan=False)]
SQUARED_ERROR = "squared_error"
CLASS_METRICS: Mapping[Problem, tuple[str, ...]] = {
    "binary": ("auc", "average_precision", "balanced_accuracy", "precision", "recall", "f1"),
    "multiclass": ("auc_ovr",),
}
"""Metrics that are no mean over rows: the rows of each class count for themselves."""
LEAST_OF_CLASS = 10
"""Fewest rows of each class from which such a metric has a standard error."""


@dataclass(frozen=True)
class PerformanceFigure:
    """One metric over `n` rows with its standard error; None: not measured, `note` says why."""

    name: str
    value: Finite | None
    error: Finite | None
    n: int
    note: str = ""


@dataclass(frozen=True)
class SlicePerformance:
    """The primary metric in the rows in which a column has one value."""

    column: str
    value: str
    figure: PerformanceFigure

    @property
    def name(self) -> str:
        """The slice as `column=value`."""
        return f"{self.column}={self.value}"


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Outcomes and predictions in the form that metrics take: 1 and 0 for a binary problem."""

    problem: Problem
    y: NDArray[Any]
    predictions: Predictions


def prepare_rows(
    problem: Problem, positive: Any, y: NDArray[Any], predictions: Predictions
) -> ScoredRows:
    """Return outcomes and predictions in the form that metrics take."""
    if problem != "binary":
        return ScoredRows(problem, y, predictions)
    return ScoredRows(problem, mark_class(y, positive), mark_predictions(predictions, positive))


def name_loss(problem: Problem) -> str:
    """Return the loss that the test for a change of concept takes the mean of."""
    return SQUARED_ERROR if problem == "regression" else "log_loss"


def measure_loss(scored: ScoredRows) -> PerformanceFigure:
    """Measure the mean log loss, or the mean squared error of a regression."""
    n = len(scored.y)
    name = name_loss(scored.problem)
    if scored.problem != "regression":
        return measure_metric(scored, name)
    if n < 2:
        return PerformanceFigure(name, None, None, n, "fewer than two rows")
    labels = np.asarray(scored.predictions.labels, dtype=np.float64)
    squares = (labels - np.asarray(scored.y, dtype=np.float64)) ** 2
    return PerformanceFigure(
        name, float(squares.mean()), float(squares.std(ddof=1)) / math.sqrt(n), n
    )


def measure_metric(scored: ScoredRows, name: str) -> PerformanceFigure:
    """Measure one metric; its standard error is that of the influence function."""
    metric, n = METRICS[name], len(scored.y)
    if n < 2:
        return PerformanceFigure(name, None, None, n, "fewer than two rows")
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = metric.prepare[scored.problem](scored.y, scored.predictions)
        value = float(statistic(np.ones((1, n)))[0])
        if not math.isfinite(value):
            undefined = metric.undefined or "a class is missing in the rows"
            return PerformanceFigure(name, None, None, n, undefined)
        if shortage := _find_shortage(scored, name):
            return PerformanceFigure(name, value, None, n, shortage)
        influence = statistic.differentiate()
    return PerformanceFigure(name, value, _find_error(influence), n)


def _find_shortage(scored: ScoredRows, name: str) -> str:
    """Return why a figure has no standard error: too few rows of one of the classes."""
    if scored.problem == "binary":
        positive = float(np.count_nonzero(scored.y))
        rows = {"positive class": positive, "negative class": len(scored.y) - positive}
    else:
        classes, counts = np.unique(scored.y, return_counts=True)
        rows = {f"class {one}": count for one, count in zip(classes, counts.tolist(), strict=True)}
    return find_shortage(scored.problem, name, rows)


def find_shortage(problem: Problem, name: str, rows: Mapping[str, float]) -> str:
    """Return why a figure has no standard error; `rows` has those of each class, by its name."""
    which = min(rows, key=lambda one: rows[one])
    if name not in CLASS_METRICS.get(problem, ()) or rows[which] >= LEAST_OF_CLASS:
        return ""
    return f"{rows[which]:,.0f} rows of the {which}, {LEAST_OF_CLASS} needed; take larger windows"


def _find_error(influence: Floats) -> float | None:
    error = math.sqrt(float(np.square(influence - influence.mean()).sum()))
    return error if math.isfinite(error) else None


def measure_metrics(scored: ScoredRows) -> tuple[PerformanceFigure, ...]:
    """Measure every metric of the problem."""
    return tuple(measure_metric(scored, name) for name in list_metrics(scored.problem))


def measure_slices(
    config: Slices,
    columns: Mapping[str, ColumnKind],
    frame: "DataFrame",
    scored: ScoredRows,
    primary: str,
) -> tuple[SlicePerformance, ...]:
    """Measure the primary metric in each slice; one with too few rows has no figure."""
    present = [name for name in config.columns if name in frame.columns]
    if not present or not len(frame):
        return ()
    chosen = config.model_copy(update={"columns": tuple(present)})
    found = find_slices(chosen, _spell_alike(frame, present, columns))
    return tuple(_measure_slice(part, config.minimum, scored, primary) for part in found)


def _spell_alike(
    frame: "DataFrame", names: Sequence[str], columns: Mapping[str, ColumnKind]
) -> "DataFrame":
    """Return whole numbers without a point, whether or not their column has nulls."""
    whole = {name: "Int64" for name in names if columns.get(name) == "integer"}
    return frame[list(names)].astype(whole)


def _measure_slice(part: Slice, minimum: int, scored: ScoredRows, primary: str) -> SlicePerformance:
    n = len(part.rows)
    if not part.judged:
        note = f"{n:,} rows, {minimum:,} needed"
        return SlicePerformance(
            part.column, part.value, PerformanceFigure(primary, None, None, n, note)
        )
    given = scored.predictions
    scores = None if given.scores is None else given.scores[part.rows]
    inside = Predictions(given.labels[part.rows], scores, given.classes)
    rows = ScoredRows(scored.problem, scored.y[part.rows], inside)
    return SlicePerformance(part.column, part.value, measure_metric(rows, primary))

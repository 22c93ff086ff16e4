"""Metrics of a classifier as they are expected from calibrated probabilities, without labels.

Each row stands for as many outcomes as there are classes, each with its probability as weight: the
metric of these rows is that of the expected confusion matrix (confidence-based performance
estimation, CBPE: Guillory and others 2021; as in NannyML).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sluice.config.model import Problem
from sluice.metrics import METRICS
from sluice.stats.holdout import Predictions
from sluice.stats.ranking import Floats, Totals

EXPECTED: dict[Problem, tuple[str, ...]] = {
    "binary": ("accuracy", "f1", "auc", "precision", "recall", "log_loss"),
    "multiclass": ("accuracy", "macro_f1", "log_loss"),
    "regression": (),
}
"""The metrics that are estimated, for each kind of problem."""
_STEP = 1e-3


@dataclass(frozen=True)
class ExpectedMetric:
    """An expected metric; None where the rows leave it undefined.

    `noise` is the standard deviation of the real figure of the same rows around it, if calibration
    is right; `sampling` is its standard error over the draw of the rows.
    """

    name: str
    value: float | None
    noise: float | None = None
    sampling: float | None = None


def expect_metric(
    name: str, problem: Problem, probabilities: Floats, predictions: Predictions
) -> ExpectedMetric:
    """Return a metric that is expected of predictions, from calibrated probabilities (n, k).

    A binary problem has the columns negative and positive, and its labels are 1 and 0. A problem of
    several classes has them in the order of `predictions.classes`.
    """
    if not len(probabilities):
        return ExpectedMetric(name, None)
    measure = _expect_auc if name == "auc" else _expect_totals
    with np.errstate(divide="ignore", invalid="ignore"):
        value, shares = measure(name, problem, probabilities, predictions)
    if not math.isfinite(value) or not np.isfinite(shares).all():
        return ExpectedMetric(name, None)
    mean = (probabilities * shares).sum(axis=1)
    variance = (probabilities * shares**2).sum(axis=1) - mean**2
    return ExpectedMetric(
        name,
        value,
        math.sqrt(max(float(variance.sum()), 0.0)),
        math.sqrt(float(np.square(mean).sum())),
    )


Expected = tuple[float, Floats]
"""A figure, and its derivative by the weight of each row's outcomes, shape (n, k)."""


def _expect_totals(
    name: str, problem: Problem, probabilities: Floats, predictions: Predictions
) -> Expected:
    """Return a metric of totals, such as one of the confusion matrix."""
    n, k = probabilities.shape
    outcomes: list[Any] = [0, 1] if problem == "binary" else list(predictions.classes)
    y = np.empty(n * k, dtype=object if problem == "multiclass" else np.int64)
    y[:] = [value for value in outcomes for _ in range(n)]
    labels = np.tile(np.asarray(predictions.labels), k)
    scores = predictions.scores
    repeated = None if scores is None else np.concatenate([scores] * k)
    statistic = METRICS[name].prepare[problem](
        y, Predictions(labels, repeated, predictions.classes)
    )
    if not isinstance(statistic, Totals):
        raise TypeError(f"{name} is no metric of totals")
    totals = probabilities.T.ravel() @ statistic.columns
    value = float(statistic.formula(totals[None])[0])
    shares = statistic.columns @ _differentiate(statistic.formula, totals)
    return value, shares.reshape(k, n).T


def _differentiate(formula: Callable[[Floats], Floats], totals: Floats) -> Floats:
    """Return the derivative by each total, by central differences."""
    steps = np.maximum(np.sqrt(np.abs(totals)) * _STEP, _STEP * _STEP)
    moved = np.diag(steps)
    rise = formula(totals + moved) - formula(totals - moved)
    return np.asarray(np.where(np.isfinite(rise), rise, 0.0) / (2.0 * steps))


def _expect_auc(
    _name: str, _problem: Problem, probabilities: Floats, predictions: Predictions
) -> Expected:
    """Return the expected area under the ROC curve: pairs are weighted by both probabilities."""
    scores = predictions.scores
    if scores is None:
        return math.nan, np.zeros_like(probabilities)
    negative, positive = probabilities.T
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    first = np.searchsorted(ranked, scores, "left")
    last = np.searchsorted(ranked, scores, "right")
    below = _average(negative[order], first, last)
    below_positive = _average(positive[order], first, last)
    positives, negatives = float(positive.sum()), float(negative.sum())
    if positives <= 0.0 or negatives <= 0.0:
        return math.nan, np.zeros_like(probabilities)
    area = float(positive @ below) / (positives * negatives)
    above = positives - below_positive
    shares = np.column_stack(
        [(above / positives - area) / negatives, (below / negatives - area) / positives]
    )
    return area, shares


def _average(weights: Floats, first: Any, last: Any) -> Floats:
    """Return the weight below each place, with half of the weight at the same score."""
    running = np.concatenate([[0.0], np.cumsum(weights)])
    return np.asarray((running[first] + running[last]) / 2.0)

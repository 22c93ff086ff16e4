"""The answer without features: the constant that is best for a metric on the training rows."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem
from sluice.stats.bootstrap import Estimate
from sluice.stats.holdout import Predictions
from sluice.stats.ranking import Floats

_ALWAYS_POSITIVE = frozenset({"f1", "precision"})
"""Metrics of a binary problem that are 0 unless some rows are called positive."""


@dataclass(frozen=True)
class BaselineFigure:
    """The candidate against the best constant answer, on the same held-out rows.

    `value` is the constant answer's figure; a positive `gain` is better.
    """

    metric: str
    value: float | None
    gain: Estimate | None


def choose_metric(primary: str) -> str:
    """Return the metric by which a model is compared with a constant answer.

    It is the primary metric, but for `recall`, which the answer "always positive" brings to 1, and
    for `macro_f1`, by which a guess at random beats every constant: both are compared by balanced
    accuracy, in which neither gains anything.
    """
    return "balanced_accuracy" if primary in ("recall", "macro_f1") else primary


def answer_constantly(metric: str, problem: Problem, training: NDArray[Any], n: int) -> Predictions:
    """Return the constant that is best for a metric on the training rows, for `n` rows.

    `training`, shape (training rows,), is the target; of a binary problem 1 and 0. Probabilities
    are the shares of the classes, which order no pair of rows (area .5). The label is the most
    frequent class; for F1 and precision of a binary problem it is the positive class. For numbers
    it is the mean, for the absolute error the median, for its share of the target the median
    weighted by 1 / abs(target) (Gneiting 2011).
    """
    if problem == "regression":
        return Predictions(np.full(n, _choose_number(metric, training.astype(np.float64))))
    if problem == "binary":
        share = float(np.mean(training))
        label = int(metric in _ALWAYS_POSITIVE or share >= 0.5)
        return Predictions(np.full(n, label), np.full(n, share))
    counts = Counter(training.tolist()).most_common()
    shares = np.array([count for _, count in counts]) / len(training)
    labels = np.full(n, counts[0][0], dtype=object)
    return Predictions(labels, np.tile(shares, (n, 1)), tuple(value for value, _ in counts))


def _choose_number(metric: str, training: Floats) -> float:
    if metric == "mae":
        return float(np.median(training))
    if metric != "mape":
        return float(training.mean())
    known = np.sort(training[training != 0.0])
    if not len(known):
        return 0.0
    weights = np.cumsum(1.0 / np.abs(known))
    return float(known[np.searchsorted(weights, weights[-1] / 2)])

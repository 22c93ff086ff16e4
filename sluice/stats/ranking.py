"""How well scores put positives before negatives, for many weightings of the rows at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Takes row weights of shape (draws, n), gives one figure a draw; NaN where it is undefined."""


def divide(over: Floats, under: Floats, otherwise: float = np.nan) -> Floats:
    """Divide two aligned arrays; where the denominator is 0 the result is `otherwise`."""
    result = np.full(np.broadcast_shapes(over.shape, under.shape), otherwise)
    np.divide(over, under, out=result, where=under != 0)
    return result


def prepare_auc(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Statistic:
    """Prepare the area under the ROC curve: P(score of a positive > of a negative), ties half.

    Both arrays have shape (n,). The rows are sorted once; each weighting then costs one running
    sum (Mann, Whitney 1947). Without a positive or a negative the area is NaN.
    """
    negatives = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)[np.argsort(scores[positive], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[positives], "left")
    upto = np.searchsorted(scores[negatives], scores[positives], "right")
    tied = not np.array_equal(below, upto)

    def area(weights: Floats) -> Floats:
        rows = weights.T
        running = np.zeros((len(negatives) + 1, rows.shape[1]))
        np.cumsum(rows.take(negatives, axis=0), axis=0, out=running[1:])
        ours = rows.take(positives, axis=0)
        beaten = np.einsum("nd,nd->d", ours, running.take(below, axis=0))
        if tied:
            beaten = (beaten + np.einsum("nd,nd->d", ours, running.take(upto, axis=0))) / 2
        return divide(beaten, ours.sum(axis=0) * running[-1])

    return area


def prepare_average_precision(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Statistic:
    """Prepare average precision: the sum over thresholds of precision times gained recall.

    Rows of equal score share one threshold, as in scikit-learn; without a positive it is NaN.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = positive[order].astype(np.float64)[:, None]

    def average(weights: Floats) -> Floats:
        rows = weights.T.take(order, axis=0)
        selected = np.cumsum(rows, axis=0)[ends]
        found = np.cumsum(rows * hits, axis=0)[ends]
        precision = divide(found, selected, otherwise=0.0)
        gained = np.diff(found, axis=0, prepend=0.0)
        return divide(np.einsum("td,td->d", precision, gained), found[-1])

    return average

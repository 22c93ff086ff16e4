"""Ranking metrics of scores, computed for many weightings of the rows at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Takes row weights of shape (draws, n); returns one figure per draw, NaN where undefined."""


@dataclass(frozen=True, eq=False)
class Totals:
    """A statistic that depends on weighted column totals only: many share one matrix product.

    `columns` has shape (n, k); `formula` takes the totals, shape (draws, k).
    """

    columns: Floats
    formula: Statistic

    def __call__(self, weights: Floats) -> Floats:
        """Return one figure per draw."""
        return self.formula(weights @ self.columns)


def divide(over: Floats, under: Floats, otherwise: float = np.nan) -> Floats:
    """Return the quotient of two aligned arrays, `otherwise` where the denominator is 0."""
    result = np.full(np.broadcast_shapes(over.shape, under.shape), otherwise)
    np.divide(over, under, out=result, where=under != 0)
    return result


def prepare_auc(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Statistic:
    """Prepare the area under the ROC curve: P(score of a positive > of a negative), ties half.

    Both arrays have shape (n,). The rows are sorted once; each weighting then costs one running
    sum (Mann, Whitney 1947). The area is NaN without a positive or without a negative.
    """
    negatives = np.flatnonzero(~positive)[np.argsort(scores[~positive], kind="stable")]
    positives = np.flatnonzero(positive)[np.argsort(scores[positive], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[positives], "left")
    upto = np.searchsorted(scores[negatives], scores[positives], "right")
    tied = np.flatnonzero(upto > below)

    def area(weights: Floats) -> Floats:
        rows = weights.T
        running = np.zeros((len(negatives) + 1, rows.shape[1]))
        np.cumsum(rows.take(negatives, axis=0), axis=0, out=running[1:])
        hits = rows.take(positives, axis=0)
        beaten = np.einsum("nd,nd->d", hits, running.take(below, axis=0))
        if len(tied):
            level = running.take(upto[tied], axis=0) - running.take(below[tied], axis=0)
            beaten += np.einsum("nd,nd->d", hits.take(tied, axis=0), level) / 2
        return divide(beaten, hits.sum(axis=0) * running[-1])

    return area


def prepare_average_precision(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Statistic:
    """Prepare average precision: the sum over thresholds of precision times gained recall.

    Rows of equal score share one threshold, as in scikit-learn. It is NaN without a positive.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.flatnonzero(positive[order])
    # Only thresholds with a positive gain recall; each is summed from its first positive.
    gaining, firsts = np.unique(np.searchsorted(ends, hits), return_index=True)

    def average(weights: Floats) -> Floats:
        if not len(hits):
            return np.full(len(weights), np.nan)
        rows = weights.T.take(order, axis=0)
        gained = np.add.reduceat(rows.take(hits, axis=0), firsts, axis=0)
        found = np.cumsum(gained, axis=0)
        selected = np.cumsum(rows, axis=0, out=rows).take(ends[gaining], axis=0)
        precision = divide(found, selected, otherwise=0.0)
        return divide(np.einsum("td,td->d", precision, gained), found[-1])

    return average

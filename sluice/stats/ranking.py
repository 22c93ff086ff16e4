"""Statistics of weighted rows: totals and ranking metrics, for many weightings at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Takes row weights of shape (draws, n); returns one figure per draw, NaN where undefined."""
_STEP = 1e-3
"""Step of a numeric derivative, in standard deviations of the total in a bootstrap draw."""


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

    def differentiate(self) -> Floats:
        """Return the figure's derivative by the weight of each row, shape (n,), at weight 1.

        The derivative by the few totals is numeric (central differences); each row adds its own
        columns to the totals. NaN where the figure is undefined.
        """
        totals = self.columns.sum(axis=0)
        steps = np.sqrt((self.columns**2).sum(axis=0)) * _STEP
        moved = np.diag(steps)
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = self.formula(totals + moved) - self.formula(totals - moved)
        return np.asarray(self.columns @ divide(rise, 2.0 * steps, otherwise=0.0))


@dataclass(frozen=True, eq=False)
class Ranking:
    """A statistic of ranks: `measure` takes weights, `derive` is the derivative by each."""

    measure: Statistic
    derive: Callable[[], Floats]

    def __call__(self, weights: Floats) -> Floats:
        """Return one figure per draw."""
        return self.measure(weights)

    def differentiate(self) -> Floats:
        """Return the figure's derivative by the weight of each row, shape (n,), at weight 1."""
        return self.derive()


@dataclass(frozen=True, eq=False)
class Restricted:
    """A statistic on some of `n` rows; it takes the weights of all rows and reads its own.

    `rows` are the places of its rows, `inner` takes their weights only.
    """

    inner: "Totals | Ranking"
    rows: NDArray[np.int64]
    n: int

    def __call__(self, weights: Floats) -> Floats:
        """Return one figure per draw."""
        return self.inner(weights.T.take(self.rows, axis=0).T)

    def differentiate(self) -> Floats:
        """Return the derivative by the weight of each row, shape (n,): 0 for other rows."""
        influence = np.zeros(self.n)
        influence[self.rows] = self.inner.differentiate()
        return influence


Differentiable = Totals | Ranking | Restricted
"""A statistic that knows how much each row contributes to it."""


def divide(over: Floats, under: Floats, otherwise: float = np.nan) -> Floats:
    """Return the quotient of two aligned arrays, `otherwise` where the denominator is 0."""
    result = np.full(np.broadcast_shapes(over.shape, under.shape), otherwise)
    np.divide(over, under, out=result, where=under != 0)
    return result


def prepare_auc(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Ranking:
    """Prepare the area under the ROC curve: P(score of a positive > of a negative), ties half.

    Both arrays have shape (n,). The rows are sorted once; each weighting then costs one running
    sum (Mann, Whitney 1947). The area is NaN without a positive or without a negative. A row's
    derivative is its placement less the area (DeLong, DeLong, Clarke-Pearson 1988).
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

    def derive() -> Floats:
        few, many = len(positives), len(negatives)
        if not few or not many:
            return np.full(len(positive), np.nan)
        ahead = scores[positives]
        mine = (below + upto) / (2.0 * many)
        over = few - np.searchsorted(ahead, scores[negatives], "right")
        level = few - np.searchsorted(ahead, scores[negatives], "left")
        result = np.empty(len(positive))
        result[positives] = (mine - mine.mean()) / few
        result[negatives] = ((over + level) / (2.0 * few) - mine.mean()) / many
        return result

    return Ranking(area, derive)


def prepare_average_precision(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Ranking:
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

    def derive() -> Floats:
        if not len(hits):
            return np.full(len(positive), np.nan)
        found = np.cumsum(positive[order])[ends].astype(np.float64)
        selected = ends + 1.0
        gained, precision = np.diff(found, prepend=0.0), found / selected
        # A row counts in the precision of each threshold at or below its score.
        later = np.cumsum((gained / selected)[::-1])[::-1]
        lost = np.cumsum((gained * precision / selected)[::-1])[::-1]
        mean = float(precision @ gained) / found[-1]
        places = np.searchsorted(ends, np.arange(len(order)))
        is_hit = positive[order]
        own = is_hit * (precision[places] - mean + later[places]) - lost[places]
        result = np.empty(len(order))
        result[order] = own / found[-1]
        return result

    return Ranking(average, derive)

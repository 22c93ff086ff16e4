"""Sums and counts of groups in bootstrap draws: drawn row by row, or by their normal law."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sluice.stats.bootstrap import Resampling
from sluice.stats.ranking import Floats
from sluice.stats.variation import LARGE

_CHUNK = 20_000


def draw_group_totals(
    values: Floats, groups: Sequence[NDArray[np.bool_]], draws: int, seed: int
) -> Floats:
    """Return the sum of the values and the number of rows of each group, in each draw.

    The result has shape (groups + 1, 2, draws); the last entry is all rows. `values` has shape
    (n,), and each group marks its rows. Up to 50,000 rows they are drawn with replacement. Above,
    sums and counts of a draw are normal, with the means and covariances that such draws have.
    """
    if len(values) > LARGE:
        return _draw_normally(values, groups, draws, seed)
    inside = [np.flatnonzero(group) for group in groups]
    parts = []
    for weights in Resampling(len(values), draws, seed).draw_weights():
        rows = weights.T
        sums = [
            (values[i] @ rows.take(i, axis=0), rows.take(i, axis=0).sum(axis=0)) for i in inside
        ]
        parts.append(np.array([*sums, (weights @ values, weights.sum(axis=1))]))
    return np.concatenate(parts, axis=2) if parts else np.empty((1, 2, 0))


def _draw_normally(
    values: Floats, groups: Sequence[NDArray[np.bool_]], draws: int, seed: int
) -> Floats:
    n, size = len(values), 2 * (len(groups) + 1)
    totals, products = np.zeros(size), np.zeros((size, size))
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        inside = [group[part].astype(np.float64) for group in groups]
        inside.append(np.ones(len(values[part])))
        columns = np.stack([one for mark in inside for one in (mark * values[part], mark)], axis=1)
        totals += columns.sum(axis=0)
        products += columns.T @ columns
    covariance = products - np.outer(totals, totals) / n
    random = np.random.default_rng(seed)
    drawn = random.multivariate_normal(
        totals, covariance, size=draws, method="eigh", check_valid="ignore"
    )
    return np.maximum(drawn.T.reshape(len(groups) + 1, 2, draws), 0.0)

"""Scores of a change between two samples of counts, and their tests.

Kullback, Leibler 1951; Lin 1991 (Jensen-Shannon); Siddiqi 2006 (population stability index);
Smirnov 1948; Pearson 1900. Every function takes counts and gives finite figures only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]

SMALLEST_SHARE = 1e-4
"""Share to which an emptier bin of numbers is raised, before all are normalised again."""
ADDED = 0.5
"""Rows added to each level of a categorical column, on both sides."""
LEAST_EXPECTED = 10.0
"""Expected count below which a level is pooled with others, or the pool left out."""

UNSEEN_REACH = 3.1
"""Standard errors beyond which a share of new levels is not explained by chance."""


@dataclass(frozen=True)
class Scores:
    """How far two distributions are apart: 0 = the same.

    `psi` is the population stability index (.1 moderate, .25 significant). `kl` is the divergence
    of the current from the reference distribution, in nats. `js` is the Jensen-Shannon *distance*,
    the root of the divergence in nats, 0 to .833 (.1 similar, .3 investigate).
    """

    psi: float
    kl: float
    js: float


@dataclass(frozen=True)
class Tested:
    """A test's statistic and p-value, 0 to 1; `note` names what it left out."""

    statistic: float
    p: float
    note: str = ""


def bound_shares(counts: Counts) -> Shares:
    """Return the shares of bins of numbers, none below 1e-4 before they are normalised.

    Raises:
        ValueError: there are no rows.
    """
    total = int(counts.sum())
    if total <= 0:
        raise ValueError("shares of no rows are not defined")
    shares = np.maximum(counts / total, SMALLEST_SHARE)
    return np.asarray(shares / shares.sum())


def smooth_shares(counts: Counts) -> Shares:
    """Return the shares of levels, after half a row was added to each; shape (levels,)."""
    added = counts + ADDED
    return np.asarray(added / added.sum())


def score_shares(reference: Shares, current: Shares) -> Scores:
    """Return the scores of two distributions over the same bins, all shares above 0."""
    ratio = np.log(current / reference)
    middle = (reference + current) / 2.0
    divergence = (
        float(reference @ np.log(reference / middle)) + float(current @ np.log(current / middle))
    ) / 2.0
    return Scores(
        psi=max(float((current - reference) @ ratio), 0.0),
        kl=max(float(current @ ratio), 0.0),
        js=float(np.sqrt(max(divergence, 0.0))),
    )


def compare_numbers(reference: Counts, current: Counts) -> Tested:
    """Test with Kolmogorov and Smirnov's D whether two samples of numbers are from one.

    Counts are those of the same cells, in order; D is the largest difference of the two
    distribution functions at the cells' upper ends, 0 to 1. p is asymptotic.

    Raises:
        ValueError: a sample has no rows.
    """
    from scipy.special import kolmogorov

    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        raise ValueError("D of no rows is not defined")
    apart = np.abs(np.cumsum(reference) / n - np.cumsum(current) / m)
    d = float(apart.max())
    return Tested(d, float(kolmogorov(d * np.sqrt(n * m / (n + m)))))


def compare_levels(reference: Counts, current: Counts) -> Tested | None:
    """Test with Pearson's chi-square whether two samples of levels are from one.

    Levels with an expected count below 10 in either sample are pooled; a pool that is still below
    is left out, which the note says. None where fewer than two levels remain. The last place has
    the rows of all levels that are not kept by name, and is always in the pool: what is rare in one
    sample is so partly by chance, and a cell of its own would differ without any change.
    """
    from scipy.special import chdtrc

    table = np.array([reference, current], dtype=np.float64)
    rare = _find_rare(table)
    rare[-1] = True
    seen = table.sum(axis=0) > 0
    table, rare = table[:, seen], rare[seen]
    pool, kept = table[:, rare].sum(axis=1), table[:, ~rare]
    note = ""
    if rare.any():
        pooled = np.column_stack([kept, pool])
        if _find_rare(pooled)[-1]:
            note = f"{int(rare.sum()):,} rare levels with {int(pool.sum()):,} rows left out"
        else:
            kept = pooled
    if kept.shape[1] < 2 or not kept.sum(axis=1).all():
        return None
    expected = _expect(kept)
    statistic = float((np.square(kept - expected) / expected).sum())
    return Tested(statistic, float(chdtrc(kept.shape[1] - 1, statistic)), note)


def _expect(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum())


def _find_rare(table: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not table.sum():
        return np.zeros(table.shape[1], dtype=np.bool_)
    return np.asarray((_expect(table) < LEAST_EXPECTED).any(axis=0))


def compare_shares(reference: tuple[int, int], current: tuple[int, int]) -> Tested | None:
    """Test whether two shares are one: z of two proportions, pooled, two-sided.

    Each side is (hits, rows); the statistic is the difference of the shares, current minus
    reference, -1 to 1. None where a side has no rows, or neither share can vary.
    """
    from scipy.special import erfc

    (hits, n), (found, m) = reference, current
    if not n or not m or hits + found in (0, n + m):
        return None
    pooled = (hits + found) / (n + m)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m))
    apart = found / m - hits / n
    return Tested(apart, float(erfc(abs(apart) / error / np.sqrt(2.0))))


def bound_unseen(counts: Counts, rows: int) -> float:
    """Return the largest share of levels outside a reference that chance explains, 0 to 1.

    A sample misses levels: the share of rows that have one is about the share of rows whose level
    came once in the reference (Good 1953). Added are 3.1 standard errors (99.9 %, one-sided) of
    that share and of its like among `rows` other rows. `counts` are the rows of each level of the
    reference. 0 where no level came only once.
    """
    total, once = int(counts.sum()), int((counts == 1).sum())
    if not once or not rows:
        return 0.0
    twice = int((counts == 2).sum())
    share = once / total
    variance = (once + 2 * twice) / total**2 + share * (1.0 - share) / rows
    return min(share + UNSEEN_REACH * float(np.sqrt(variance)), 1.0)


def _as_counts(values: Any) -> Counts:
    return np.asarray(values, dtype=np.int64)


def score_null_rates(reference: tuple[int, int], current: tuple[int, int]) -> Scores:
    """Return the scores of two null rates, each given as (nulls, rows)."""
    (hits, n), (found, m) = reference, current
    return score_shares(
        smooth_shares(_as_counts([hits, n - hits])), smooth_shares(_as_counts([found, m - found]))
    )

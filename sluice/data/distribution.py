"""Whether a column's distribution changed: an alarm needs a small p and an effect above a floor.

With 30 columns and no change at all, "any p below .05" alarms in four of five comparisons; with
many rows it alarms at differences that do not matter. Therefore both conditions must hold.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

CATEGORICAL_BELOW = 20
"""A numeric column with fewer distinct values is compared level by level."""
FIRST_ROWS = 1_000
"""Rows in which a column with many values shows enough of them, as a rule."""
LEAST_EXPECTED = 10
"""Levels expected less often than this in either sample are pooled."""


@dataclass(frozen=True)
class AlarmLimits:
    """When a difference counts: p below `alpha` / tests, and an effect above its floor.

    `distance` is the floor of the Kolmogorov-Smirnov distance (numeric), `psi` of the population
    stability index (categorical), `nulls` of the difference in null shares; `minimum_rows` are
    needed on each side. New or growing levels of a text column that have less than `new_share` of
    the rows together are left out: they are normal while they are rare.
    """

    alpha: float = 0.01
    distance: float = 0.05
    psi: float = 0.02
    nulls: float = 0.02
    minimum_rows: int = 500
    new_share: float = 0.05


@dataclass(frozen=True)
class Comparison:
    """How far one figure of a column changed: `effect`, its `floor`, and the test's `p`.

    `n` is the size of the smaller sample. `dropped` names the levels too rare to be tested.
    """

    measure: Literal["KS distance", "PSI", "null share"]
    effect: float
    floor: float
    p: float
    n: int
    dropped: tuple[str, ...] = ()

    def alarms(self, level: float) -> bool:
        """Return whether the change is significant (p below `level`) and above its floor."""
        return self.p < level and self.effect > self.floor


def compare_column(
    previous: "pd.Series[Any]", current: "pd.Series[Any]", limits: AlarmLimits
) -> tuple[Comparison, ...]:
    """Compare a column's values with the previous ones, and the null shares where there are nulls.

    A comparison is left out where either side has fewer than `limits.minimum_rows` values.
    """
    before, now = previous.dropna(), current.dropna()
    found = []
    n = min(len(before), len(now))
    if n >= limits.minimum_rows:
        if _is_numeric(before, now):
            d, p = measure_distance(_to_numbers(before), _to_numbers(now))
            found.append(Comparison("KS distance", d, limits.distance, p, n))
        else:
            levels, counts = count_levels(before, now)
            levels, counts, rare = _leave_out_new(levels, counts, limits.new_share)
            p, dropped = compare_levels(counts)
            psi = measure_stability(counts)
            names = (*(str(levels[index]) for index in dropped), *rare)
            found.append(Comparison("PSI", psi, limits.psi, p, n, names))
    rows = min(len(previous), len(current))
    if rows >= limits.minimum_rows and has_nulls(previous, current):
        effect, p = compare_shares(
            (len(previous) - len(before), len(previous)), (len(current) - len(now), len(current))
        )
        found.append(Comparison("null share", effect, limits.nulls, p, rows))
    return tuple(found)


def _leave_out_new(
    levels: list[Any], counts: NDArray[np.float64], most: float
) -> tuple[list[Any], NDArray[np.float64], tuple[str, ...]]:
    """Leave out levels of text that are new or growing, if they are rare together.

    Such a level has at least twice its share of before. One that has not doubled, and less than .05
    of the rows, adds at most .05 / 2 ln 2 = .017 to the PSI. Their names are returned as well.
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    is_text = np.array([isinstance(level, str) for level in levels])
    new = is_text & (shares[1] >= 2.0 * shares[0])
    if not new.any() or shares[1, new].sum() >= most:
        return levels, counts, ()
    kept = [level for level, is_new in zip(levels, new, strict=True) if not is_new]
    names = tuple(str(level) for level, is_new in zip(levels, new, strict=True) if is_new)
    return kept, counts[:, ~new], names


def has_nulls(previous: "pd.Series[Any]", current: "pd.Series[Any]") -> bool:
    """Return whether either sample has nulls, so that null shares are one more test."""
    return bool(previous.hasnans or current.hasnans)


def measure_distance(
    previous: NDArray[np.float64], current: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the two-sample Kolmogorov-Smirnov distance (0 to 1) and its asymptotic p.

    p = Q(D sqrt(n m / (n + m))), Q the Kolmogorov distribution. Where values are tied, p is too
    large, never too small (Conover 1972).
    """
    from scipy.special import kolmogorov

    points = np.concatenate([np.sort(previous), np.sort(current)])
    order = np.argsort(points, kind="stable")  # merges the two sorted parts
    points = points[order]
    last = np.append(points[1:] != points[:-1], True)  # of equal values the last one has the share
    before = np.cumsum(order < len(previous))[last]
    now = np.flatnonzero(last) + 1 - before
    distance = float(np.abs(before / len(previous) - now / len(current)).max())
    scale = np.sqrt(len(previous) * len(current) / (len(previous) + len(current)))
    return distance, float(kolmogorov(distance * scale))


def count_levels(
    previous: "pd.Series[Any]", current: "pd.Series[Any]"
) -> tuple[list[Any], NDArray[np.float64]]:
    """Return the levels of both samples and their counts, shape (2, levels)."""
    before, now = previous.value_counts(), current.value_counts()
    levels = sorted(set(before.index) | set(now.index), key=str)
    counts = [[float(part.get(level, 0)) for level in levels] for part in (before, now)]
    return levels, np.array(counts)


def compare_levels(counts: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    """Return the p of the two-sample chi-square test, and the indices of the dropped levels.

    `counts` has shape (2, levels). Levels expected fewer than ten times in either sample are pooled
    into one; a pool that is still too rare is dropped.
    """
    from scipy.special import chdtrc

    rare = _expect_counts(counts).min(axis=0) < LEAST_EXPECTED
    pool = counts[:, rare].sum(axis=1, keepdims=True)
    kept = np.hstack([counts[:, ~rare], pool]) if rare.any() else counts
    dropped: tuple[int, ...] = ()
    if rare.any() and _expect_counts(kept)[:, -1].min() < LEAST_EXPECTED:
        kept, dropped = counts[:, ~rare], tuple(int(index) for index in np.flatnonzero(rare))
    if kept.shape[1] < 2:
        return 1.0, dropped
    expected = _expect_counts(kept)
    statistic = float(((kept - expected) ** 2 / expected).sum())
    return float(chdtrc(kept.shape[1] - 1, statistic)), dropped


def measure_stability(counts: NDArray[np.float64]) -> float:
    """Return the population stability index of `counts`, shape (2, levels); 0: no change.

    PSI = sum (q - p) ln(q / p) over the levels' shares, with .5 added to each count; .1 is usually
    called moderate, .25 significant (Siddiqi 2006).
    """
    shares = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def compare_shares(previous: tuple[int, int], current: tuple[int, int]) -> tuple[float, float]:
    """Return the difference of two shares, each (count, rows), and its two-sided pooled z p."""
    from scipy.special import ndtr

    difference = current[0] / current[1] - previous[0] / previous[1]
    pooled = (previous[0] + current[0]) / (previous[1] + current[1])
    variance = pooled * (1 - pooled) * (1 / previous[1] + 1 / current[1])
    if variance == 0.0:
        return abs(difference), 1.0
    return abs(difference), float(2 * ndtr(-abs(difference) / np.sqrt(variance)))


def _expect_counts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected counts if both samples had one distribution, shape (2, levels)."""
    expected: NDArray[np.float64] = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0)
    expected /= counts.sum()
    return expected


def _is_numeric(previous: "pd.Series[Any]", current: "pd.Series[Any]") -> bool:
    kind = previous.dtype.kind
    if kind not in "iufM":
        return False
    if previous.iloc[:FIRST_ROWS].nunique() >= CATEGORICAL_BELOW:
        return True
    distinct = set(previous.unique()) | set(current.unique())
    return len(distinct) >= CATEGORICAL_BELOW


def _to_numbers(series: "pd.Series[Any]") -> NDArray[np.float64]:
    plain = series.astype("int64") if series.dtype.kind == "M" else series
    return np.asarray(plain, dtype=np.float64)

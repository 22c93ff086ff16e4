"""A column before and after, as a few bars that a person can compare."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sluice.drift.bins import LevelBins, NumberBins
from sluice.drift.counts import ColumnCounts
from sluice.drift.profile import ReferenceColumn

MOST_LEVELS = 10
"""Most levels that have a bar; all others share one."""
MOST_LETTERS = 40
"""Longest name of a level that is shown."""


@dataclass(frozen=True)
class Bar:
    """The shares of one bin or level before and after, each 0 to 1; None: that side has no rows."""

    label: str
    before: float | None
    after: float | None


def describe_column(
    column: ReferenceColumn, before: ColumnCounts, after: ColumnCounts
) -> tuple[Bar, ...]:
    """Return the bars of a column: deciles of numbers in order, or the largest levels; then nulls.

    Shares are those of all rows with a value or null.
    """
    if isinstance(column.bins, NumberBins):
        labels = _name_bins(column.bins)
        gathered = [column.bins.gather(side.cells).tolist() for side in (before, after)]
        pairs = gathered[0], gathered[1]
    else:
        labels, pairs = _pick_levels(column.bins, before.cells, after.cells)
    bars = [
        Bar(label, _share(int(one), before.rows), _share(int(other), after.rows))
        for label, one, other in zip(labels, *pairs, strict=True)
    ]
    if before.nulls or after.nulls:
        bars.append(
            Bar("(null)", _share(before.nulls, before.rows), _share(after.nulls, after.rows))
        )
    return tuple(bars)


def _share(rows: int, total: int) -> float | None:
    return rows / total if total else None


def _name_bins(bins: NumberBins) -> list[str]:
    edges = [f"{edge:.4g}" for edge in bins.edges.tolist()]
    if not edges:
        return ["all"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"above {edges[-1]}"]


def _pick_levels(
    bins: LevelBins, before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[list[str], tuple[list[int], list[int]]]:
    """Return the levels with most rows on either side, largest first, and all others as one."""
    known = len(bins.levels)
    shares = _find_shares(before) + _find_shares(after)
    order = np.argsort(-shares[:known], kind="stable")
    chosen = order[:MOST_LEVELS].tolist()
    rest = order[MOST_LEVELS:]
    labels = [_shorten(bins.levels[at]) for at in chosen]
    counts = [[int(side[at]) for at in chosen] for side in (before, after)]
    if len(rest):
        labels.append(f"({len(rest):,} other levels)")
        for place, side in enumerate((before, after)):
            counts[place].append(int(side[rest].sum()))
    if before[known] or after[known]:
        labels.append("(rarer levels)" if bins.rest else "(new levels)")
        for place, side in enumerate((before, after)):
            counts[place].append(int(side[known]))
    return labels, (counts[0], counts[1])


def _find_shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(counts / max(int(counts.sum()), 1), dtype=np.float64)


def _shorten(level: str) -> str:
    if not level.strip():
        return "(blank)"
    return level if len(level) <= MOST_LETTERS else f"{level[: MOST_LETTERS - 3]}..."

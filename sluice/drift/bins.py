"""The bins of a reference: cells between quantiles of numbers, or levels of a category.

They are made once, from the reference rows, and never change. Counts in them merge exactly.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = 1_000
"""Quantiles of a reference grid: (i - .5) / 1000 for i = 1 to 1000."""
BINS = 10
"""Bins of the scores of numbers: between the reference's deciles."""
FEW = 20
"""Distinct values below which a column of numbers is categorical."""
MOST_LEVELS = 10_000
"""Most levels of a reference that have a count of their own; the rarest others share one."""
WHOLE = 1e15
"""Size above which a whole number's name keeps its exponent."""


@dataclass(frozen=True, eq=False)
class NumberBins:
    """Cells (low, high] between the points of a reference grid, and one above the last point.

    `points` has shape (k,), ascending and distinct; there are k + 1 cells. `edges` are the points
    that divide the bins of the scores: the reference's deciles, each once.
    """

    points: NDArray[np.float64]
    edges: NDArray[np.float64]

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.points) + 1

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        return np.searchsorted(self.points, self.edges).astype(np.int64)

    def count(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many finite values lie in each cell, shape (k + 1,)."""
        upto = np.searchsorted(np.sort(values), self.points, side="right")
        return np.diff(upto, prepend=0, append=len(values)).astype(np.int64)

    def gather(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the counts of the bins between the deciles, shape (edges + 1,), from the cells."""
        upto = np.cumsum(counts)
        return np.diff(upto[self._places], prepend=0, append=upto[-1]).astype(np.int64)

    def identify(self) -> bytes:
        """Return bytes that only the same bins have."""
        return self.points.astype("<f8").tobytes() + b"|" + self.edges.astype("<f8").tobytes()

    def to_dict(self) -> dict[str, Any]:
        """Return the bins as plain values."""
        return {"points": self.points.tolist(), "edges": self.edges.tolist()}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "NumberBins":
        """Return the bins of plain values.

        Raises:
            ValueError: points are missing, not finite or not ascending, or edges are no points.
        """
        points = np.asarray(found["points"], dtype=np.float64)
        edges = np.asarray(found["edges"], dtype=np.float64)
        if not len(points) or not np.isfinite(points).all() or (np.diff(points) <= 0).any():
            raise ValueError("points: found none, or not finite and ascending numbers")
        if not np.isin(edges, points).all():
            raise ValueError("edges: found a number that is no point of the grid")
        return cls(points, edges)


@dataclass(frozen=True, eq=False)
class LevelBins:
    """The levels of a categorical column, one cell each, and one cell for all others.

    `rest` is the number of further levels of the reference that are too rare for a cell of their
    own; they are in the last cell, and then no level can be called new.
    """

    levels: tuple[str, ...]
    rest: int = 0
    _index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the levels by name."""
        object.__setattr__(self, "_index", {name: at for at, name in enumerate(self.levels)})

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.levels) + 1

    def place(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the cell of each name, shape (n,); the last cell for one that is no level."""
        last = len(self.levels)
        return np.fromiter(
            (self._index.get(name, last) for name in names), dtype=np.int64, count=len(names)
        )

    def identify(self) -> bytes:
        """Return bytes that only the same bins have."""
        named = json.dumps([self.rest, *self.levels])
        return named.encode()

    def to_dict(self) -> dict[str, Any]:
        """Return the bins as plain values."""
        return {"levels": list(self.levels), "rest": self.rest}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "LevelBins":
        """Return the bins of plain values.

        Raises:
            ValueError: a level is given twice or is no text.
        """
        levels = tuple(found["levels"])
        if len(set(levels)) < len(levels) or not all(isinstance(one, str) for one in levels):
            raise ValueError("levels: found one twice, or one that is no text")
        return cls(levels, int(found["rest"]))


Bins = NumberBins | LevelBins


def build_number_bins(values: NDArray[np.float64]) -> NumberBins:
    """Return the grid of reference values: their quantiles and deciles, each once.

    A quantile q of n values is the smallest value with at least q n values at or below it, so that
    each point is a value that was seen.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("a grid of no values is not defined")
    ordered = np.sort(values)
    shares = (np.arange(1, QUANTILES + 1) - 0.5) / QUANTILES
    edges = np.unique(_take_quantiles(ordered, np.arange(1, BINS) / BINS))
    points = np.unique(np.concatenate([_take_quantiles(ordered, shares), edges]))
    return NumberBins(points, edges)


def _take_quantiles(ordered: NDArray[np.float64], shares: NDArray[np.float64]) -> Any:
    # Rounded first: .1 * 30 is 3.0000000000000004 and must not become the fourth value.
    places = np.ceil(np.round(shares * len(ordered), 9)).astype(np.int64) - 1
    return ordered[np.maximum(places, 0)]


def build_level_bins(names: Sequence[str], counts: NDArray[np.int64]) -> LevelBins:
    """Return the cells of reference levels, the most frequent 10,000 by themselves.

    Levels come in the order of their names, whatever the order of the rows.
    """
    order = sorted(range(len(names)), key=lambda at: (-int(counts[at]), names[at]))
    kept = sorted(names[at] for at in order[:MOST_LEVELS])
    return LevelBins(tuple(kept), max(len(names) - MOST_LEVELS, 0))


def name_number(value: float) -> str:
    """Return the name of a number as a level: `3` for 3.0, else its shortest decimal form."""
    return str(int(value)) if value.is_integer() and abs(value) < WHOLE else repr(value)

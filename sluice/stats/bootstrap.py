"""Bootstrap resampling of rows or groups, and the bounds of a figure over its draws."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.models.threads import limit_threads
from sluice.stats.ranking import Floats, Statistic, Totals

_CELLS = 1_000_000  # weights held at a time: bounds memory, and keeps a chunk in the cache
_DEFINED = 0.99  # least share of draws on which a figure must be defined


@dataclass(frozen=True)
class Estimate:
    """A figure with its bounds and the number of rows behind it; None: not measurable.

    `error` is the standard error, in the figure's unit (on the log scale for a ratio).
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    error: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The bounds, where both are known."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def spread(self) -> float | None:
        """The standard deviation of one row's contribution: the error times the root of n."""
        return None if self.error is None else self.error * math.sqrt(self.n)


def negate(estimate: Estimate | None) -> Estimate | None:
    """Return an estimate with the opposite sign, its bounds in order; zero has no sign."""
    if estimate is None:
        return None
    low, high = (None if one is None else 0.0 - one for one in (estimate.high, estimate.low))
    value = None if estimate.value is None else 0.0 - estimate.value
    return replace(estimate, value=value, low=low, high=high)


@dataclass(frozen=True)
class Resampling:
    """Seeded draws with replacement: the same fields always produce the same draws.

    `groups`, shape (rows,), numbers the group of each row from 0; whole groups are then drawn.
    """

    rows: int
    draws: int
    seed: int
    groups: NDArray[np.int64] | None = None

    @property
    def units(self) -> int:
        """The number of units that are drawn: groups, or rows."""
        return self.rows if self.groups is None else int(self.groups.max()) + 1

    def draw_weights(self) -> Iterator[Floats]:
        """Yield how often each draw contains each row, in chunks of shape (some draws, rows)."""
        units = self.units
        generator = np.random.default_rng(self.seed)
        chunk = max(1, _CELLS // max(self.rows, 1))
        for start in range(0, self.draws, chunk):
            size = min(chunk, self.draws - start)
            drawn = generator.integers(0, units, size=(size, units))
            # One draw per column: sorting rows then copies whole lines of memory.
            places = drawn * size + np.arange(size)[:, None]
            counts = np.bincount(places.ravel(), minlength=units * size).reshape(units, size)
            weights = counts.astype(np.float64)
            yield (weights if self.groups is None else weights[self.groups]).T

    def apply(self, statistics: Sequence[Statistic]) -> Floats:
        """Compute every statistic on the same draws; shape (statistics, draws)."""
        totals = [one for one in statistics if isinstance(one, Totals)]
        columns = np.concatenate(
            [np.empty((self.rows, 0)), *(one.columns for one in totals)], axis=1
        )
        ends = np.cumsum([one.columns.shape[1] for one in totals])[:-1]
        parts = []
        with limit_threads(self.rows):
            for weights in self.draw_weights():
                sums = iter(np.split(weights @ columns, ends, axis=1))
                figures = [
                    one.formula(next(sums)) if isinstance(one, Totals) else one(weights)
                    for one in statistics
                ]
                parts.append(np.vstack(figures))
        return np.concatenate(parts, axis=1)


def number_groups(values: Iterable[Any]) -> NDArray[np.int64]:
    """Return a number for each value, equal ones alike, from 0 in order of first appearance."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def bound_draws(value: float, draws: Floats, n: int, alpha: float = 0.05) -> Estimate:
    """Return percentile bounds, each one-sided at level 1 - `alpha` (Efron 1979).

    Not measurable when the value, or more than one draw in a hundred, is undefined.
    """
    defined = draws[np.isfinite(draws)]
    if not math.isfinite(value):
        return Estimate(None, None, None, n)
    if len(defined) < _DEFINED * len(draws):
        return Estimate(value, None, None, n)
    low, high = np.quantile(defined, [alpha, 1.0 - alpha])
    return Estimate(value, float(low), float(high), n, float(defined.std(ddof=1)))


def count_needed_rows(spread: float, margin: float) -> int:
    """Return how many rows prove two equal models equal: one-sided 5 %, power .8.

    n = (z_.95 + z_.8)^2 s^2 / margin^2, where `spread` is s, the standard deviation of the paired
    difference of one row.
    """
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(0.95) + normal.inv_cdf(0.8)) * spread / margin) ** 2)


@dataclass(frozen=True, eq=False)
class Stepdown:
    """Result of Holm's step-down test: rejected hypotheses, and the level used for each."""

    rejected: NDArray[np.bool_]
    levels: Floats


def step_down(p_values: Sequence[float], alpha: float = 0.05) -> Stepdown:
    """Test many hypotheses at family-wise level `alpha` (Holm 1979).

    The first hypothesis that is not rejected ends the test: the weaker ones keep its level.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if len(p) == 0:
        return Stepdown(np.empty(0, dtype=np.bool_), np.empty(0))
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(len(p), 0, -1)
    not_rejected = p[order] > steps
    rejected = int(np.argmax(not_rejected)) if not_rejected.any() else len(p)
    ranks = np.empty(len(p), dtype=np.int64)
    ranks[order] = np.arange(len(p))
    return Stepdown(ranks < rejected, steps[np.minimum(ranks, min(rejected, len(p) - 1))])

"""How a figure varies from sample to sample: over bootstrap draws, or by each row's influence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sluice.stats.bootstrap import Estimate, Resampling, bound_draws
from sluice.stats.ranking import Differentiable, Floats, Restricted, Totals

LARGE = 50_000
"""Rows above which influence functions stand in for draws."""
LEAST_EFFECTIVE = 30
"""Fewest effective units of an influence; below it few rows decide the figure, and it is drawn."""
MOST_GROUPS = 5_000
"""Most groups that are drawn without their rows, where few of them decide a figure."""
_CELLS = 1_000_000
_DEFINED = 0.99
_ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure in each bootstrap draw, shape (draws,); NaN where it is undefined."""

    draws: Floats

    @property
    def is_defined(self) -> bool:
        """Whether the figure is defined in nearly all draws."""
        return float(np.isfinite(self.draws).mean()) >= _DEFINED

    @property
    def error(self) -> float:
        """The standard error."""
        return float(np.nanstd(self.draws, ddof=1))

    def minus(self, other: "Drawn", sign: float = 1.0) -> "Drawn":
        """Return the difference from another figure on the same draws, times `sign`."""
        return Drawn(sign * (self.draws - other.draws))

    def bound(self, value: float, n: int, alpha: float = _ALPHA) -> Estimate:
        """Return percentile bounds, each one-sided at level 1 - `alpha`."""
        return bound_draws(value, self.draws, n, alpha)


@dataclass(frozen=True, eq=False)
class Influence:
    """A figure's influence function: how much each unit (row or group) moves it, shape (units,).

    The sum over units is 0; the standard error is the root of the sum of squares (the infinitesimal
    jackknife, Efron 1982; for the area under the ROC curve DeLong's).
    """

    influence: Floats

    @property
    def is_defined(self) -> bool:
        """Whether the figure is defined."""
        return bool(np.isfinite(self.influence).all())

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(float(np.square(self.influence).sum()))

    @property
    def effective_units(self) -> float:
        """The number of units that decide the figure: (sum of squares)^2 / sum of fourth powers.

        It is the number of units where all matter alike, and 1 where one unit decides. Infinite
        where no unit matters.
        """
        squares = np.square(self.influence)
        total = float(squares.sum())
        return math.inf if total == 0.0 else total**2 / float(np.square(squares).sum())

    def minus(self, other: "Influence", sign: float = 1.0) -> "Influence":
        """Return the influence on the difference from another figure, times `sign`."""
        return Influence(sign * (self.influence - other.influence))

    def bound(self, value: float, n: int, alpha: float = _ALPHA) -> Estimate:
        """Return normal bounds, each one-sided at level 1 - `alpha`, corrected for skewness.

        The quantile of the bootstrap distribution is z + skewness (z^2 - 1) / 6 standard errors
        (Cornish, Fisher 1938). Not measurable where value or influence is undefined.
        """
        if not math.isfinite(value):
            return Estimate(None, None, None, n)
        if not self.is_defined:
            return Estimate(value, None, None, n)
        error, z = self.error, NormalDist().inv_cdf(1.0 - alpha)
        if error == 0.0:
            return Estimate(value, value, value, n, 0.0)
        skewness = float(((self.influence / error) ** 3).sum())
        shift = skewness * (z**2 - 1.0) / 6.0
        return Estimate(value, value + (shift - z) * error, value + (shift + z) * error, n, error)


def vary_figures(
    resampling: Resampling, families: Sequence[Sequence[Differentiable]]
) -> list[list[Drawn] | list[Influence]]:
    """Return how each statistic varies; those of one family are compared, and vary alike.

    Up to 50,000 rows all are drawn, on the same draws. Above, a family is drawn only where few
    units decide a figure of it, so that a normal interval would not hold; groups, and a small part
    of the rows, are then drawn by themselves.
    """
    found: list[list[Drawn] | list[Influence] | None] = [None] * len(families)
    if resampling.rows > LARGE:
        found = [_linearise(resampling, family) for family in families]
        found = [
            _draw_cheaply(resampling, family) if one is None else one
            for family, one in zip(families, found, strict=True)
        ]
    wanted = [place for place, one in enumerate(found) if one is None]
    statistics = [one for place in wanted for one in families[place]]
    draws = iter(resampling.apply(statistics)) if statistics else iter(())
    return [
        [Drawn(next(draws)) for _ in family] if one is None else one
        for family, one in zip(families, found, strict=True)
    ]


def subtract(pair: Sequence[Drawn] | Sequence[Influence], sign: float) -> Drawn | Influence:
    """Return how the difference of the first two figures of a family varies, times `sign`.

    Raises:
        TypeError: one is drawn and the other is not.
    """
    candidate, champion = pair
    if isinstance(candidate, Influence) and isinstance(champion, Influence):
        return candidate.minus(champion, sign)
    if isinstance(candidate, Drawn) and isinstance(champion, Drawn):
        return candidate.minus(champion, sign)
    raise TypeError("figures of one family are all drawn, or all linear")


def _linearise(resampling: Resampling, family: Sequence[Differentiable]) -> list[Influence] | None:
    """Return the influence functions of a family; None where they would not be reliable."""
    linear = [Influence(_sum_by_unit(one.differentiate(), resampling)) for one in family]
    differences = [one.minus(linear[0]) for one in linear[1:]]
    if all(one.is_defined for one in linear) and any(
        one.effective_units < LEAST_EFFECTIVE for one in (*linear, *differences)
    ):
        return None
    return linear


def _draw_cheaply(resampling: Resampling, family: Sequence[Differentiable]) -> list[Drawn] | None:
    """Draw a family whose few units can be drawn alone; None where that is not possible."""
    if resampling.groups is not None and resampling.units <= MOST_GROUPS:
        return _draw_groups(resampling, family)
    return _draw_part(resampling, family)


def _draw_groups(resampling: Resampling, family: Sequence[Differentiable]) -> list[Drawn]:
    """Draw whole groups without their rows.

    Totals are summed by group, which is exact. A ranking moves by the influence of the groups drawn
    (Efron 1982).
    """
    totals = [one if isinstance(one, Totals) else None for one in family]
    columns = [None if one is None else _sum_columns(one, resampling) for one in totals]
    sums = [_sum_by_unit(one.differentiate(), resampling) for one in family]
    values = [float(one(np.ones((1, resampling.rows)))[0]) for one in family]
    parts = []
    for weights in Resampling(resampling.units, resampling.draws, resampling.seed).draw_weights():
        parts.append(
            np.vstack(
                [
                    value + (weights - 1.0) @ moved
                    if one is None or own is None
                    else one.formula(weights @ own)
                    for one, own, value, moved in zip(totals, columns, values, sums, strict=True)
                ]
            )
        )
    return [Drawn(draws) for draws in np.concatenate(parts, axis=1)]


def _sum_columns(one: Totals, resampling: Resampling) -> Floats:
    return np.column_stack([_sum_by_unit(column, resampling) for column in one.columns.T])


def _draw_part(resampling: Resampling, family: Sequence[Differentiable]) -> list[Drawn] | None:
    """Draw a family on its own rows, where they are a small part; None where they are not.

    How often a draw contains each of a few units is Poisson with mean 1, as good as independent.
    """
    parts = [one for one in family if isinstance(one, Restricted)]
    if len(parts) < len(family) or len(parts[0].rows) > LARGE:
        return None
    rows = parts[0].rows
    groups = rows if resampling.groups is None else resampling.groups[rows]
    units, places = np.unique(groups, return_inverse=True)
    generator, found = np.random.default_rng(resampling.seed), []
    chunk = max(1, _CELLS // len(rows))
    for start in range(0, resampling.draws, chunk):
        size = min(chunk, resampling.draws - start)
        weights = generator.poisson(1.0, (size, len(units))).astype(np.float64)[:, places]
        found.append(np.vstack([one.inner(weights) for one in parts]))
    return [Drawn(draws) for draws in np.concatenate(found, axis=1)]


def _sum_by_unit(influence: Floats, resampling: Resampling) -> Floats:
    groups = resampling.groups
    return influence if groups is None else np.bincount(groups, influence).astype(np.float64)

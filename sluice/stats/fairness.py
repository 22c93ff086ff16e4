"""Groups of people, and how differently each is treated from everyone else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.config.bias import BiasConfig
from sluice.stats.bootstrap import Estimate, Resampling
from sluice.stats.holdout import name_values
from sluice.stats.ranking import Floats, divide

if TYPE_CHECKING:
    from pandas import DataFrame


POOL = "(pooled)"
"""The value under which groups too small to judge alone stand together."""


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one group: `inside` marks them, shape (n,); `members` are the groups in a pool."""

    name: str
    pair: bool
    inside: NDArray[np.bool_]
    members: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Rows of the group."""
        return int(self.inside.sum())


def form_groups(
    frame: "DataFrame", columns: Sequence[str], pairs: bool, minimum: int
) -> tuple[Group, ...]:
    """Form the groups of each column and, with `pairs`, of each pair of columns.

    Within a column, or a pair, groups of fewer than `minimum` rows are pooled into one; the pool
    may still be smaller than that. Nulls form the group `(missing)`.
    """
    named = {column: name_values(frame, column) for column in columns}
    found = []
    for column, values in named.items():
        labels = np.array([f"{column}={value}" for value in values], dtype=object)
        found += _pool(labels, f"{column}={POOL}", False, minimum)
    for first, second in combinations(columns, 2) if pairs else ():
        couples = zip(named[first], named[second], strict=True)
        labels = np.array([f"{first}={a}, {second}={b}" for a, b in couples], dtype=object)
        found += _pool(labels, f"{first} and {second}={POOL}", True, minimum)
    return tuple(found)


def _pool(labels: NDArray[Any], pool: str, pair: bool, minimum: int) -> list[Group]:
    names, places, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    groups = [
        Group(str(names[index]), pair, places == index)
        for index in order
        if counts[index] >= minimum
    ]
    small = [index for index in order if counts[index] < minimum]
    if len(small) == 1:
        groups.append(Group(str(names[small[0]]), pair, places == small[0]))
    elif small:
        members = tuple(f"{names[index]} ({counts[index]:,})" for index in small)
        groups.append(Group(pool, pair, np.isin(places, small), members))
    return groups


FairnessKind = Literal[
    "true_positive_difference", "selection_ratio", "false_positive_difference", "loss_ratio"
]
_ALPHA = 0.05
_FEW = 5  # events below which a bootstrap cannot see how far the rate may be from 0 or 1


@dataclass(frozen=True)
class FairnessFigure:
    """One comparison of a group with the rest.

    `group_rate` and `rest_rate` are what is compared (mean absolute errors for a loss ratio).
    `estimate.n` counts the group's rows that the rate is of (its positives, for true positives).
    `label_ratio` is the ratio of the labels themselves, beside a selection ratio. A figure that is
    not `judged` says why in `note`.
    """

    kind: FairnessKind
    group: str
    pair: bool
    estimate: Estimate
    group_rate: float | None = None
    rest_rate: float | None = None
    label_ratio: float | None = None
    judged: bool = True
    note: str = ""


@dataclass(frozen=True)
class _Rate:
    """Events `hits` among `n`, the same in each draw; shape (draws,) for the latter two."""

    hits: float
    n: float
    drawn_hits: Floats
    drawn_n: Floats

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def extreme(self) -> bool:
        return min(self.hits, self.n - self.hits) < _FEW

    @property
    def smoothed(self) -> float:
        return (self.hits + 0.5) / (self.n + 1.0)

    @property
    def drawn(self) -> Floats:
        return divide(self.drawn_hits, self.drawn_n)


@dataclass(frozen=True)
class _Counts:
    """One side's rows, positives and negatives, and the selected among each."""

    selected: _Rate
    labelled: _Rate
    true_positive: _Rate
    false_positive: _Rate


def measure_classification(
    config: BiasConfig,
    groups: Sequence[Group],
    actual: NDArray[np.int64],
    selected: NDArray[np.int64],
) -> tuple[FairnessFigure, ...]:
    """Compare each group with the rest by selection ratio and by both error rates.

    `actual` and `selected`, shape (n,), mark rows whose label, or whose prediction, is favourable.
    """
    figures = []
    for group, ours, rest in _count_sides(config, groups, actual, selected):
        figures += [
            _compare_rates(
                "true_positive_difference", group, ours.true_positive, rest.true_positive,
                config.minimum_positives,
            ),
            _compare_selection(group, ours, rest, config.minimum_group),
            _compare_rates(
                "false_positive_difference", group, ours.false_positive, rest.false_positive,
                config.minimum_negatives,
            ),
        ]  # fmt: skip
    return _widen(figures)


def measure_regression(
    config: BiasConfig, groups: Sequence[Group], errors: Floats
) -> tuple[FairnessFigure, ...]:
    """Compare each group with the rest by the ratio of mean absolute errors, shape (n,)."""
    inside = [np.flatnonzero(group.inside) for group in groups]
    parts = []
    for weights in Resampling(len(errors), config.draws, config.seed).draw_weights():
        rows = weights.T
        sums = [
            (errors[i] @ rows.take(i, axis=0), rows.take(i, axis=0).sum(axis=0)) for i in inside
        ]
        parts.append(np.array([*sums, (weights @ errors, weights.sum(axis=1))]))
    drawn = np.concatenate(parts, axis=2) if parts else np.empty((1, 2, 0))
    figures = []
    for group, (lost, n) in zip(groups, drawn[:-1], strict=True):
        ours = _Rate(float(errors[group.inside].sum()), group.n, lost, n)
        rest = _Rate(
            float(errors[~group.inside].sum()), len(errors) - group.n,
            drawn[-1, 0] - lost, drawn[-1, 1] - n,
        )  # fmt: skip
        figures.append(_compare_losses(group, ours, rest, config.minimum_group))
    return _widen(figures)


def _count_sides(
    config: BiasConfig,
    groups: Sequence[Group],
    actual: NDArray[np.int64],
    selected: NDArray[np.int64],
) -> list[tuple[Group, _Counts, _Counts]]:
    """Count each group and its rest, in the rows and in every draw.

    Rows alike in groups, label and prediction are one cell; drawing cell counts is drawing rows.
    """
    n = len(actual)
    keys = np.column_stack([actual, selected, *(group.inside for group in groups)])
    cells, counts = np.unique(keys.astype(np.int8), axis=0, return_counts=True)
    drawn = np.random.default_rng(config.seed).multinomial(n, counts / n, size=config.draws)
    table = np.vstack([counts, drawn]).astype(np.float64)
    y, chosen = cells[:, 0] == 1, cells[:, 1] == 1
    sides = []
    for index, group in enumerate(groups):
        member = cells[:, 2 + index] == 1
        sides.append((group, _count(table, member, y, chosen), _count(table, ~member, y, chosen)))
    return sides


def _count(
    table: Floats, member: NDArray[np.bool_], y: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> _Counts:
    def rate(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> _Rate:
        hits, n = table[:, of & among].sum(axis=1), table[:, among].sum(axis=1)
        return _Rate(float(hits[0]), float(n[0]), hits[1:], n[1:])

    return _Counts(
        selected=rate(chosen, member),
        labelled=rate(y, member),
        true_positive=rate(chosen, member & y),
        false_positive=rate(chosen, member & ~y),
    )


def _compare_rates(
    kind: FairnessKind, group: Group, ours: _Rate, rest: _Rate, minimum: int
) -> FairnessFigure:
    noun = "positives" if kind == "true_positive_difference" else "negatives"
    figure = _open_figure(kind, group, ours, rest)
    if min(ours.n, rest.n) < minimum:
        return _leave(figure, ours, rest, minimum, noun)
    value = ours.hits / ours.n - rest.hits / rest.n
    error = float(np.nanstd(ours.drawn - rest.drawn, ddof=1))
    if ours.extreme or rest.extreme:
        error = max(error, _find_difference_error(ours, rest))
    return replace(figure, estimate=Estimate(value, None, None, int(ours.n), error))


def _compare_selection(group: Group, ours: _Counts, rest: _Counts, minimum: int) -> FairnessFigure:
    figure = _open_figure("selection_ratio", group, ours.selected, rest.selected)
    labels = _divide(ours.labelled.value, rest.labelled.value)
    figure = replace(figure, label_ratio=labels)
    if min(ours.selected.n, rest.selected.n) < minimum:
        return _leave(figure, ours.selected, rest.selected, minimum, "rows")
    return replace(figure, estimate=_estimate_ratio(ours.selected, rest.selected))


def _estimate_ratio(ours: _Rate, rest: _Rate) -> Estimate:
    """Estimate a ratio of rates; `error` is on the log scale.

    With few events: rates with half an event added, and their delta-method error (Gart, Nam 1988).
    """
    ratio = _divide(ours.value, rest.value)
    if min(ours.hits, rest.hits) >= _FEW:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(ours.drawn) - np.log(rest.drawn)
        error = float(logs[np.isfinite(logs)].std(ddof=1))
        return Estimate(ratio, None, None, int(ours.n), error)
    variance = [1.0 / (side.hits + 0.5) - 1.0 / (side.n + 1.0) for side in (ours, rest)]
    return Estimate(
        ours.smoothed / rest.smoothed, None, None, int(ours.n), math.sqrt(sum(variance))
    )


def _compare_losses(group: Group, ours: _Rate, rest: _Rate, minimum: int) -> FairnessFigure:
    figure = _open_figure("loss_ratio", group, ours, rest)
    if min(ours.n, rest.n) < minimum:
        return _leave(figure, ours, rest, minimum, "rows")
    ratio = _divide(ours.value, rest.value)
    if not ratio:
        return replace(figure, estimate=Estimate(ratio, ratio, ratio, int(ours.n)))
    logs = np.log(divide(ours.drawn, rest.drawn))
    error = float(logs[np.isfinite(logs)].std(ddof=1))
    return replace(figure, estimate=Estimate(ratio, None, None, int(ours.n), error))


def _find_difference_error(ours: _Rate, rest: _Rate) -> float:
    """Give the error of a difference of rates near 0 or 1 (Agresti, Caffo 2000)."""
    shares = [((side.hits + 1.0) / (side.n + 2.0), side.n + 2.0) for side in (ours, rest)]
    return math.sqrt(sum(share * (1.0 - share) / n for share, n in shares))


def _open_figure(kind: FairnessKind, group: Group, ours: _Rate, rest: _Rate) -> FairnessFigure:
    unknown = Estimate(None, None, None, int(ours.n))
    return FairnessFigure(kind, group.name, group.pair, unknown, ours.value, rest.value)


def _leave(
    figure: FairnessFigure, ours: _Rate, rest: _Rate, minimum: int, noun: str
) -> FairnessFigure:
    side, n = ("the group", ours.n) if ours.n < minimum else ("the rest", rest.n)
    return replace(figure, judged=False, note=f"{side} has {n:,.0f} {noun}, {minimum:,} needed")


def _divide(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None


def _widen(figures: Sequence[FairnessFigure]) -> tuple[FairnessFigure, ...]:
    """Give each judged figure its interval: normal, two-sided, at .05 / the number of checks."""
    checks = sum(figure.judged for figure in figures)
    z = NormalDist().inv_cdf(1.0 - _ALPHA / (2 * checks)) if checks else 0.0
    return tuple(_bound(figure, z) for figure in figures)


def _bound(figure: FairnessFigure, z: float) -> FairnessFigure:
    estimate = figure.estimate
    if not figure.judged or estimate.value is None or estimate.error is None:
        return figure
    reach = z * estimate.error
    if figure.kind.endswith("ratio"):
        ends = estimate.value * math.exp(-reach), estimate.value * math.exp(reach)
    else:
        ends = estimate.value - reach, estimate.value + reach
    return replace(figure, estimate=replace(estimate, low=ends[0], high=ends[1]))

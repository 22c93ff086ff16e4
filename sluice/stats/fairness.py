"""Groups of people, and how the treatment of each differs from the rest of the rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.config.bias import BiasConfig
from sluice.stats.bootstrap import Estimate
from sluice.stats.group_totals import draw_group_totals
from sluice.stats.holdout import name_values
from sluice.stats.ranking import Floats, divide

if TYPE_CHECKING:
    from pandas import DataFrame

FairnessKind = Literal[
    "true_positive_difference", "selection_ratio", "false_positive_difference", "loss_ratio"
]
POOL = "(pooled)"
"""The value that stands for all groups too small to judge alone."""
_ALPHA = 0.05
_FEW_EVENTS = 5  # with fewer, a bootstrap cannot show how far the rate may be from 0 or 1


@dataclass(frozen=True, eq=False)
class Group:
    """One group: `inside` marks its rows, shape (n,); `members` are the groups in a pool."""

    name: str
    pair: bool
    inside: NDArray[np.bool_]
    members: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """The number of rows of the group."""
        return int(self.inside.sum())


def form_groups(
    frame: "DataFrame", columns: Sequence[str], pairs: bool, minimum: int
) -> tuple[Group, ...]:
    """Return the groups of each column and, with `pairs`, of each pair of columns.

    Within a column or a pair, groups of fewer than `minimum` rows are pooled into one; the pool
    itself may still be smaller. Nulls form the group `(missing)`.
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


@dataclass(frozen=True)
class FairnessFigure:
    """One comparison of a group with the rest of the rows.

    `group_rate` and `rest_rate` are compared (mean absolute errors for a loss ratio). `estimate.n`
    counts the group's rows in the rate's denominator (its positives, for true positives).
    `label_ratio` is the same ratio of the labels themselves, given with a selection ratio. `note`
    is the reason why a figure is not `judged`.
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
    """`hits` events among `n` rows; `drawn_hits` and `drawn_n`, shape (draws,), are the draws'."""

    hits: float
    n: float
    drawn_hits: Floats
    drawn_n: Floats

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def extreme(self) -> bool:
        return min(self.hits, self.n - self.hits) < _FEW_EVENTS

    @property
    def smoothed(self) -> float:
        return (self.hits + 0.5) / (self.n + 1.0)

    @property
    def drawn(self) -> Floats:
        return divide(self.drawn_hits, self.drawn_n)


@dataclass(frozen=True)
class _SideRates:
    """Rates of one side: rows that are selected or labelled, and both error rates."""

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
    for group, own, rest in _count_sides(config, groups, actual, selected):
        figures += [
            _compare_rates(
                "true_positive_difference", group, own.true_positive, rest.true_positive,
                config.minimum_positives,
            ),
            _compare_selection(group, own, rest, config.minimum_group),
            _compare_rates(
                "false_positive_difference", group, own.false_positive, rest.false_positive,
                config.minimum_negatives,
            ),
        ]  # fmt: skip
    return _add_intervals(figures)


def measure_regression(
    config: BiasConfig, groups: Sequence[Group], errors: Floats
) -> tuple[FairnessFigure, ...]:
    """Compare each group with the rest by the ratio of mean absolute errors.

    `errors`, shape (n,), are the absolute errors of the rows.
    """
    drawn = draw_group_totals(errors, [group.inside for group in groups], config.draws, config.seed)
    figures = []
    for group, (lost, n) in zip(groups, drawn[:-1], strict=True):
        own = _Rate(float(errors[group.inside].sum()), group.n, lost, n)
        rest = _Rate(
            float(errors[~group.inside].sum()), len(errors) - group.n,
            drawn[-1, 0] - lost, drawn[-1, 1] - n,
        )  # fmt: skip
        figures.append(_compare_losses(group, own, rest, config.minimum_group))
    return _add_intervals(figures)


def _count_sides(
    config: BiasConfig,
    groups: Sequence[Group],
    actual: NDArray[np.int64],
    selected: NDArray[np.int64],
) -> list[tuple[Group, _SideRates, _SideRates]]:
    """Count each group and the rest, in the rows and in every draw.

    Rows with the same groups, label and prediction are one cell; drawing the counts of cells is
    the same as drawing rows.
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
) -> _SideRates:
    def rate(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> _Rate:
        hits, n = table[:, of & among].sum(axis=1), table[:, among].sum(axis=1)
        return _Rate(float(hits[0]), float(n[0]), hits[1:], n[1:])

    return _SideRates(
        selected=rate(chosen, member),
        labelled=rate(y, member),
        true_positive=rate(chosen, member & y),
        false_positive=rate(chosen, member & ~y),
    )


def _compare_rates(
    kind: FairnessKind, group: Group, own: _Rate, rest: _Rate, minimum: int
) -> FairnessFigure:
    noun = "positives" if kind == "true_positive_difference" else "negatives"
    figure = _start_figure(kind, group, own, rest)
    if min(own.n, rest.n) < minimum:
        return _mark_too_small(figure, own, rest, minimum, noun)
    value = own.hits / own.n - rest.hits / rest.n
    error = float(np.nanstd(own.drawn - rest.drawn, ddof=1))
    if own.extreme or rest.extreme:
        error = max(error, _estimate_difference_error(own, rest))
    return replace(figure, estimate=Estimate(value, None, None, int(own.n), error))


def _compare_selection(
    group: Group, own: _SideRates, rest: _SideRates, minimum: int
) -> FairnessFigure:
    figure = _start_figure("selection_ratio", group, own.selected, rest.selected)
    labels = _divide(own.labelled.value, rest.labelled.value)
    figure = replace(figure, label_ratio=labels)
    if min(own.selected.n, rest.selected.n) < minimum:
        return _mark_too_small(figure, own.selected, rest.selected, minimum, "rows")
    return replace(figure, estimate=_estimate_ratio(own.selected, rest.selected))


def _estimate_ratio(own: _Rate, rest: _Rate) -> Estimate:
    """Estimate a ratio of rates; `error` is on the log scale.

    With few events, half an event is added to each rate, and the error is the delta method's
    (Gart, Nam 1988).
    """
    ratio = _divide(own.value, rest.value)
    if min(own.hits, rest.hits) >= _FEW_EVENTS:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(own.drawn) - np.log(rest.drawn)
        error = float(logs[np.isfinite(logs)].std(ddof=1))
        return Estimate(ratio, None, None, int(own.n), error)
    variance = [1.0 / (side.hits + 0.5) - 1.0 / (side.n + 1.0) for side in (own, rest)]
    return Estimate(own.smoothed / rest.smoothed, None, None, int(own.n), math.sqrt(sum(variance)))


def _compare_losses(group: Group, own: _Rate, rest: _Rate, minimum: int) -> FairnessFigure:
    figure = _start_figure("loss_ratio", group, own, rest)
    if min(own.n, rest.n) < minimum:
        return _mark_too_small(figure, own, rest, minimum, "rows")
    ratio = _divide(own.value, rest.value)
    if not ratio:
        return replace(figure, estimate=Estimate(ratio, ratio, ratio, int(own.n)))
    logs = np.log(divide(own.drawn, rest.drawn))
    error = float(logs[np.isfinite(logs)].std(ddof=1))
    return replace(figure, estimate=Estimate(ratio, None, None, int(own.n), error))


def _estimate_difference_error(own: _Rate, rest: _Rate) -> float:
    """Return the standard error of a difference of rates near 0 or 1 (Agresti, Caffo 2000)."""
    shares = [((side.hits + 1.0) / (side.n + 2.0), side.n + 2.0) for side in (own, rest)]
    return math.sqrt(sum(share * (1.0 - share) / n for share, n in shares))


def _start_figure(kind: FairnessKind, group: Group, own: _Rate, rest: _Rate) -> FairnessFigure:
    unknown = Estimate(None, None, None, int(own.n))
    return FairnessFigure(kind, group.name, group.pair, unknown, own.value, rest.value)


def _mark_too_small(
    figure: FairnessFigure, own: _Rate, rest: _Rate, minimum: int, noun: str
) -> FairnessFigure:
    side, n = ("the group", own.n) if own.n < minimum else ("the rest", rest.n)
    return replace(figure, judged=False, note=f"{side} has {n:,.0f} {noun}, {minimum:,} needed")


def _divide(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None


def _add_intervals(figures: Sequence[FairnessFigure]) -> tuple[FairnessFigure, ...]:
    """Add an interval to each judged figure: normal, two-sided, at .05 / the number of checks."""
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

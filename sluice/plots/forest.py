"""Forest plots: one line per group or slice, with its interval and the limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.config.bias import BiasConfig
from sluice.plots.style import BAD, GOOD, INK, OPEN, QUIET, dress_axes, make_figure
from sluice.stats.bias import BiasEvidence
from sluice.stats.bootstrap import negate
from sluice.stats.comparison import MetricFigure, OlderRows
from sluice.stats.fairness import FairnessFigure, FairnessKind
from sluice.stats.slicing import SliceFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_GROUPS, MAX_SLICES = 40, 40
FAR = (-1e9, 1e9)
"""A range that cuts no interval."""
RATIO, DIFFERENCE = (0.0, 2.0), (-1.0, 1.0)
PANELS: Mapping[FairnessKind, tuple[str, str, tuple[float, float], float]] = {
    "selection_ratio": ("Selection ratio", "group to rest", RATIO, 1.0),
    "true_positive_difference": ("True-positive difference", "group minus rest", DIFFERENCE, 0.0),
    "false_positive_difference": ("False-positive difference", "group minus rest", DIFFERENCE, 0.0),
    "loss_ratio": ("Error ratio", "mean absolute error, group to rest", (0.0, 5.0), 1.0),
}
"""Each panel's title, unit, widest range, and the value that means equal treatment."""


@dataclass(frozen=True)
class ForestRow:
    """One line: a figure with its bounds, None if not judged, and its number of rows.

    `beside` is a second figure without bounds, drawn hollow.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    beside: float | None = None


@dataclass(frozen=True)
class Range:
    """The allowed range; None is no limit at that end."""

    low: float | None = None
    high: float | None = None

    def choose_colour(self, row: ForestRow) -> str:
        """Return a line's colour: wholly outside, not proved to be inside, or inside."""
        if row.low is None or row.high is None:
            return QUIET
        below, above = self.low, self.high
        if (below is not None and row.high < below) or (above is not None and row.low > above):
            return BAD
        inside = (below is None or row.low >= below) and (above is None or row.high <= above)
        return GOOD if inside else OPEN


def draw_forest(
    axes: "Axes", rows: Sequence[ForestRow], allowed: Range, reach: tuple[float, float]
) -> None:
    """Draw lines from top to bottom, cut at `reach`; beyond the limit is shaded."""
    shown = _find_reach(rows, allowed, reach)
    dress_axes(axes, axes.get_title(loc="left"), axes.get_xlabel())
    axes.set(xlim=shown, ylim=(len(rows) - 0.5, -0.5))
    if allowed.low is not None:
        axes.axvspan(shown[0], allowed.low, color=BAD, alpha=0.07, linewidth=0)
        axes.axvline(allowed.low, color=BAD, linewidth=1)
    if allowed.high is not None:
        axes.axvspan(allowed.high, shown[1], color=BAD, alpha=0.07, linewidth=0)
        axes.axvline(allowed.high, color=BAD, linewidth=1)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, allowed.choose_colour(row), shown)
    axes.grid(False, axis="y")


def _draw_row(
    axes: "Axes", place: int, row: ForestRow, colour: str, shown: tuple[float, float]
) -> None:
    if row.value is None:
        middle = sum(shown) / 2
        axes.text(middle, place, "not judged", ha="center", va="center", fontsize=7, color=QUIET)
        return
    if row.low is not None and row.high is not None:
        low, high = max(row.low, shown[0]), min(row.high, shown[1])
        axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([row.value], [place], color=colour, marker="o", markersize=5)
    if row.beside is not None:
        axes.plot([row.beside], [place], marker="D", markersize=4, color=INK, fillstyle="none")


def _find_reach(
    rows: Sequence[ForestRow], allowed: Range, reach: tuple[float, float]
) -> tuple[float, float]:
    """Return the range that shows every bound and limit, within `reach`, with a margin."""
    numbers = [allowed.low, allowed.high]
    for row in rows:
        numbers += [row.low, row.high, row.value, row.beside]
    known = [number for number in numbers if number is not None]
    low = max(min(known, default=reach[0]), reach[0])
    high = min(max(known, default=reach[1]), reach[1])
    room = 0.06 * (high - low or 1.0)
    return low - room, high + room


def label_rows(axes: "Axes", rows: Sequence[ForestRow]) -> None:
    """Label the lines at the left of the axes, each with its number of rows."""
    labels = [f"{row.label}  (n {row.n:,})" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8, color=INK)


def explain_colours(figure: "Figure") -> None:
    """Add a legend of the colours below the axes."""
    from matplotlib.lines import Line2D

    meanings = {GOOD: "within the limit", OPEN: "not proved either way", BAD: "beyond the limit"}
    lines = [
        Line2D([], [], color=colour, linewidth=2, marker="o", markersize=5, label=meaning)
        for colour, meaning in meanings.items()
    ]
    figure.legend(
        handles=lines, loc="outside lower right", ncols=3, fontsize=8, frameon=False, labelcolor=INK
    )


def draw_fairness(config: BiasConfig, evidence: BiasEvidence) -> "dict[str, Figure]":
    """Draw each group's figures with intervals and limits, one panel per kind.

    The plot's name is `fairness`; the result is empty where nothing was measured. Hollow diamonds
    are the ratios of the labels themselves. Of more than 40 groups the first 40 are shown.
    """
    groups = _rank_groups(evidence.figures)[:MAX_GROUPS]
    kinds = [kind for kind in PANELS if any(one.kind == kind for one in evidence.figures)]
    if not groups or not kinds:
        return {}
    title = f"Each group compared with the rest, {evidence.n:,} held-out rows"
    figure = make_figure(3.2 + 2.5 * len(kinds), 1.75 + 0.25 * len(groups), title)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    sizes = {one.group: one.estimate.n for one in evidence.figures if one.kind == kinds[0]}
    for axes, kind in zip(panels, kinds, strict=True):
        name, unit, reach, equal = PANELS[kind]
        axes.set_title(name, loc="left")
        axes.set_xlabel(unit)
        rows = [_find_row(evidence.figures, kind, group) for group in groups]
        draw_forest(axes, rows, _find_range(config, kind), reach)
        axes.axvline(equal, color=QUIET, linewidth=1, linestyle=":")
    label_rows(panels[0], [ForestRow(group, None, None, None, sizes[group]) for group in groups])
    explain_colours(figure)
    if "selection_ratio" in kinds:
        note = "◇ ratio of the labels"
        figure.text(0.99, 0.99, note, ha="right", va="top", fontsize=8, color=INK)
    return {"fairness": figure}


def _rank_groups(figures: Sequence[FairnessFigure]) -> list[str]:
    """Return the groups, single columns before pairs, each in the order measured."""
    ranked = sorted(figures, key=lambda one: one.pair)
    return list(dict.fromkeys(one.group for one in ranked))


def _find_row(figures: Sequence[FairnessFigure], kind: FairnessKind, group: str) -> ForestRow:
    for one in figures:
        if one.kind == kind and one.group == group:
            found = one.estimate
            if not one.judged:
                return ForestRow(group, None, None, None, found.n)
            return ForestRow(group, found.value, found.low, found.high, found.n, one.label_ratio)
    return ForestRow(group, None, None, None, 0)


def _find_range(config: BiasConfig, kind: FairnessKind) -> Range:
    within = config.false_positive_difference
    ranges: dict[FairnessKind, Range] = {
        "selection_ratio": Range(low=config.selection_ratio),
        "true_positive_difference": Range(low=config.true_positive_difference),
        "false_positive_difference": Range(-within, within),
        "loss_ratio": Range(high=config.loss_ratio),
    }
    return ranges[kind]


def draw_slices(
    slices: Sequence[SliceFigure],
    primary: MetricFigure,
    margin: float,
    older: OlderRows | None = None,
) -> "Figure":
    """Draw the paired difference over all rows, then in each judged slice.

    The range beyond `margin` on the worse side is shaded: below zero, or above it for an error. Of
    more than 40 slices the 40 worst are shown. Where the newest rows decide, the difference on the
    `older` ones is the second line.
    """
    judged = [figure for figure in slices if figure.difference is not None]
    kept = sorted(judged, key=_find_lower)[:MAX_SLICES] if len(judged) > MAX_SLICES else judged
    greater = primary.greater_is_better
    rows = [*_describe_all(primary, older), *(_describe_slice(figure, greater) for figure in kept)]
    rows = [row for row in rows if row.value is not None]
    height = 1.55 + 0.26 * len(rows)
    figure = make_figure(7.6, height, f"Candidate minus champion: {primary.name} by slice")
    axes = figure.subplots()
    better = "positive" if greater else "negative"
    axes.set_xlabel(f"difference of {primary.name}, {better} is better")
    draw_forest(axes, rows, Range(low=-margin) if greater else Range(high=margin), FAR)
    label_rows(axes, rows)
    explain_colours(figure)
    axes.axvline(0.0, color=QUIET, linewidth=1, linestyle=":")
    hidden = {"too small to judge": len(slices) - len(judged), "better": len(judged) - len(kept)}
    note = ", ".join(f"{count:,} {reason}" for reason, count in hidden.items() if count)
    if note:
        text = f"not shown: {note}"
        figure.text(0.99, 0.99, text, ha="right", va="top", fontsize=8, color=QUIET)
    return figure


def _describe_all(primary: MetricFigure, older: OlderRows | None) -> list[ForestRow]:
    if older is None:
        return [_describe_change("all rows", primary)]
    rest = older.find_metric(primary.name)
    others = [_describe_change("older rows, shown only", rest)] if rest else []
    return [_describe_change(f"newest rows ({older.recent})", primary), *others]


def _describe_change(label: str, figure: MetricFigure) -> ForestRow:
    found = figure.change
    if found is None:
        return ForestRow(label, None, None, None, figure.candidate.n)
    return ForestRow(label, found.value, found.low, found.high, found.n)


def _describe_slice(figure: SliceFigure, greater: bool) -> ForestRow:
    found = figure.difference if greater else negate(figure.difference)
    label = figure.name
    if found is None:
        return ForestRow(label, None, None, None, figure.n)
    return ForestRow(label, found.value, found.low, found.high, figure.n)


def _find_lower(figure: SliceFigure) -> float:
    found = figure.difference
    return 0.0 if found is None or found.low is None else found.low

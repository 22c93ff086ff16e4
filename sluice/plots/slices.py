"""Where a candidate gains or loses against the champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.plots.forest import ForestRow, Range, draw_forest, explain_colours, label_rows
from sluice.plots.style import QUIET, make_figure
from sluice.stats.comparison import MetricFigure
from sluice.stats.slicing import SliceFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = 40
FAR = (-1e9, 1e9)


def draw_slices(slices: Sequence[SliceFigure], primary: MetricFigure, margin: float) -> "Figure":
    """Draw the paired difference in each judged slice below that over all rows.

    Positive is better for the candidate; what lies below `-margin` is shaded. Of more than 40
    slices the worst are shown.
    """
    judged = [figure for figure in slices if figure.difference is not None]
    kept = sorted(judged, key=_find_lower)[:LINES] if len(judged) > LINES else judged
    rows = [_describe_all(primary), *(_describe_slice(figure) for figure in kept)]
    rows = [row for row in rows if row.value is not None]
    height = 1.55 + 0.26 * len(rows)
    figure = make_figure(7.6, height, f"Candidate less champion: {primary.name} by slice")
    axes = figure.subplots()
    axes.set_xlabel(f"difference of {primary.name}, positive is better")
    draw_forest(axes, rows, Range(low=-margin), FAR)
    label_rows(axes, rows)
    explain_colours(figure)
    axes.axvline(0.0, color=QUIET, linewidth=1, linestyle=":")
    notes = {"too small to judge": len(slices) - len(judged), "better": len(judged) - len(kept)}
    note = ", ".join(f"{count:,} more {why}" for why, count in notes.items() if count)
    if note:
        figure.text(0.99, 0.99, note, ha="right", va="top", fontsize=8, color=QUIET)
    return figure


def _describe_all(primary: MetricFigure) -> ForestRow:
    found = primary.difference
    if found is None:
        return ForestRow("all rows", None, None, None, primary.candidate.n)
    return ForestRow("all rows", found.value, found.low, found.high, found.n)


def _describe_slice(figure: SliceFigure) -> ForestRow:
    found = figure.difference
    label = figure.name.replace("=", ": ", 1)
    if found is None:
        return ForestRow(label, None, None, None, figure.n)
    return ForestRow(label, found.value, found.low, found.high, figure.n)


def _find_lower(figure: SliceFigure) -> float:
    found = figure.difference
    return 0.0 if found is None or found.low is None else found.low

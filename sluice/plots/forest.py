"""Figures with intervals, one a line, beside the limit that they are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.plots.style import BAD, GOOD, INK, OPEN, QUIET, dress_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ForestRow:
    """One line: a figure and its bounds, None where it was not judged, and the rows behind it.

    `beside` is a second figure without bounds, shown hollow.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    beside: float | None = None


@dataclass(frozen=True)
class Range:
    """What is allowed: None is no limit at that end."""

    low: float | None = None
    high: float | None = None

    def choose_colour(self, row: ForestRow) -> str:
        """Give a line's colour: wholly outside, not proved to be inside, or inside."""
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
    """Draw lines from top to bottom, intervals cut at `reach`, what is not allowed shaded."""
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


def label_rows(axes: "Axes", rows: Sequence[ForestRow]) -> None:
    """Name the lines at the left of the axes, each with its rows."""
    named = [f"{row.label}  (n {row.n:,})" for row in rows]
    axes.set_yticks(range(len(rows)), named, fontsize=8, color=INK)


def explain_colours(figure: "Figure") -> None:
    """Say below the axes what the colours of the lines mean."""
    from matplotlib.lines import Line2D

    meanings = {GOOD: "within the limit", OPEN: "not proved either way", BAD: "beyond the limit"}
    lines = [
        Line2D([], [], color=colour, linewidth=2, marker="o", markersize=5, label=meaning)
        for colour, meaning in meanings.items()
    ]
    figure.legend(
        handles=lines, loc="outside lower right", ncols=3, fontsize=8, frameon=False, labelcolor=INK
    )


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
    """Give the span that shows every bound and limit, within `reach`, with a little room."""
    numbers = [allowed.low, allowed.high]
    for row in rows:
        numbers += [row.low, row.high, row.value, row.beside]
    known = [number for number in numbers if number is not None]
    low = max(min(known, default=reach[0]), reach[0])
    high = min(max(known, default=reach[1]), reach[1])
    room = 0.06 * (high - low or 1.0)
    return low - room, high + room

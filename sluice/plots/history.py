"""Plot of the primary metric over a service's releases, registered and stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.plots.style import BAD, GOOD, INK, dress_axes, make_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 8.6, 2.7
MAX_LABELS = 20
"""Most labels of the axis; of more releases every k-th is labelled."""


@dataclass(frozen=True)
class HistoryPoint:
    """One release: the metric with bounds and limit, and whether it was registered."""

    label: str
    value: float
    low: float
    high: float
    limit: float | None
    registered: bool


def draw_history(service: str, metric: str, points: Sequence[HistoryPoint]) -> "Figure":
    """Draw the metric of each release, oldest first, with its limit as a line.

    Registered releases are filled circles, others hollow squares, so that colour is not needed.
    """
    figure = make_figure(WIDTH, HEIGHT, f"{service}: {metric} over releases")
    axes = dress_axes(figure.subplots(), x="data version of the release", y=metric)
    _draw_limit(axes, points)
    for registered, colour, marker, label in (
        (True, GOOD, "o", "registered"),
        (False, BAD, "s", "stopped"),
    ):
        places = [place for place, item in enumerate(points) if item.registered is registered]
        chosen = [points[place] for place in places]
        spread = [
            [item.value - item.low for item in chosen],
            [item.high - item.value for item in chosen],
        ]
        if chosen:
            axes.errorbar(
                places,
                [item.value for item in chosen],
                yerr=spread,
                fmt=marker,
                color=colour,
                markerfacecolor=colour if registered else "white",
                markersize=6,
                linewidth=1.6,
                label=label,
            )
    step = max(1, len(points) // MAX_LABELS)
    ticks = range(0, len(points), step)
    axes.set_xticks(ticks, [points[place].label for place in ticks])
    axes.set_xlim(-0.6, max(len(points), 4) - 0.4)
    axes.grid(False, axis="x")
    figure.legend(loc="outside upper right", ncols=3, fontsize=8, frameon=False, labelcolor=INK)
    return figure


def _draw_limit(axes: "Axes", points: Sequence[HistoryPoint]) -> None:
    known = [(place, item.limit) for place, item in enumerate(points) if item.limit is not None]
    if known:
        first, last = known[0], known[-1]
        drawn = [(first[0] - 0.5, first[1]), *known, (last[0] + 0.5, last[1])]
        places, limits = zip(*drawn, strict=True)
        [line] = axes.plot(places, limits, color=INK, linestyle="--", linewidth=1, label="limit")
        line.set_drawstyle("steps-mid")

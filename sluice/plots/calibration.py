"""Whether probabilities are frequencies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluice.plots.style import CANDIDATE, QUIET, add_legend, dress_axes, make_figure
from sluice.stats.calibration import ReliabilityBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 25


def draw_calibration(bins: Sequence[ReliabilityBin], scores: NDArray[np.float64]) -> "Figure":
    """Draw observed shares over predicted ones with their intervals, above the scores' spread.

    `scores` are the probabilities of the rows that the bins hold, shape (n,).
    """
    figure = make_figure(5.4, 5.6, f"Calibration on {len(scores):,} held-out rows")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1.0])
    dress_axes(upper, "", "", "observed share of positives")
    upper.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="perfect")
    _draw_bins(upper, bins)
    upper.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    add_legend(upper, "upper left")
    dress_axes(lower, "", "predicted probability", "rows")
    lower.hist(scores, bins=BARS, range=(0.0, 1.0), color=CANDIDATE, alpha=0.75, linewidth=0)
    lower.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def _draw_bins(axes: "Axes", bins: Sequence[ReliabilityBin]) -> None:
    x = [part.predicted for part in bins]
    y = np.array([part.observed for part in bins])
    low, high = [part.low for part in bins], [part.high for part in bins]
    axes.fill_between(x, low, high, color=CANDIDATE, alpha=0.18, linewidth=0)
    label = f"candidate, {_describe_sizes(bins)} rows a point, 95 % band"
    axes.plot(x, y, color=CANDIDATE, linewidth=1.5, marker="o", markersize=4, label=label)


def _describe_sizes(bins: Sequence[ReliabilityBin]) -> str:
    sizes = [part.n for part in bins]
    if not sizes:
        return "no"
    small, large = min(sizes), max(sizes)
    return f"{small:,}" if small == large else f"{small:,} to {large:,}"

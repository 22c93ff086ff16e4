"""What a model hangs on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.models.importance import Importance
from sluice.plots.style import CANDIDATE, INK, dress_axes, make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = 25


def draw_importance(importance: Sequence[Importance]) -> "Figure":
    """Draw what shuffling each feature costs, largest first, with standard deviations.

    Of more than 25 features the most important are shown.
    """
    shown = importance[:BARS]
    first = shown[0]
    figure = make_figure(6.4, 1.4 + 0.26 * len(shown), f"Importance on {first.n:,} held-out rows")
    axes = figure.subplots()
    dress_axes(axes, "", f"{first.figure} lost when the feature is shuffled").grid(False, axis="y")
    places = range(len(shown))
    spread = [item.deviation for item in shown]
    means = [item.mean for item in shown]
    axes.barh(places, means, xerr=spread, height=0.6, color=CANDIDATE, error_kw={"ecolor": INK})
    axes.set_yticks(places, [item.feature for item in shown], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.0, color=INK, linewidth=0.8)
    return figure

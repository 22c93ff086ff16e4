"""Plot of an experiment's power: what its traffic could find after so many periods."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.plots.style import BAD, CANDIDATE, INK, QUIET, dress_axes, make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 7.6, 3.0
DAY = 86_400.0


def draw_power(
    name: str, points: Sequence[tuple[float, float]], wanted: float, planned: float
) -> "Figure":
    """Draw the least relative effect that is found, over time.

    `points` are (seconds, effect); `wanted` is the effect to be found, `planned` the duration in
    seconds.
    """
    figure = make_figure(WIDTH, HEIGHT, f"{name}: the least effect that is found")
    unit, word = (DAY, "days") if planned >= DAY else (1.0, "seconds")
    axes = dress_axes(figure.subplots(), x=f"{word} of traffic", y="relative effect, %")
    times = [seconds / unit for seconds, _ in points]
    axes.plot(times, [100 * effect for _, effect in points], color=CANDIDATE, marker="o",
              markersize=4, label="found at the planned power")  # fmt: skip
    axes.axhline(100 * wanted, color=BAD, linestyle="--", linewidth=1.2, label="to be found")
    axes.axvline(planned / unit, color=INK, linestyle=":", linewidth=1.2, label="planned end")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    figure.legend(loc="outside upper right", ncols=3, fontsize=8, frameon=False, labelcolor=QUIET)
    return figure

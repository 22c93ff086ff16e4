"""When simulated rollouts are rolled back, by each way to judge them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sluice.plots.style import BAD, CANDIDATE, OPEN, add_legend, dress_axes, make_figure
from sluice.rollout.simulation.outcome import Ending, Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MINUTE = 60.0
COLOURS = (CANDIDATE, OPEN, BAD)
DASHES = ("-", "--", ":")


def draw_rules(found: Mapping[str, Mapping[str, Outcome]], seconds: float) -> "Figure":
    """Draw the share rolled back over the first `seconds`: a panel a candidate, a line a judge."""
    runs = max(len(one.endings) for panel in found.values() for one in panel.values())
    figure = make_figure(9.0, 3.6, f"Rolled back, of {runs:,} simulated rollouts each")
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (title, outcomes) in zip(panels, found.items(), strict=True):
        _draw_panel(axes, title, outcomes, seconds)
    panels[0].set_ylabel("share rolled back", fontsize=9)
    return figure


def _draw_panel(axes: "Axes", title: str, outcomes: Mapping[str, Outcome], seconds: float) -> None:
    dress_axes(axes, title, "minutes since the start")
    for (way, outcome), colour, dash in zip(outcomes.items(), COLOURS, DASHES, strict=False):
        back = np.sort(outcome.seconds[outcome.endings == Ending.ROLLED_BACK])
        times = np.concatenate([[0.0], back[back <= seconds], [seconds]]) / MINUTE
        shares = np.arange(len(times)) / len(outcome.endings)
        shares[-1] = shares[-2]
        label = f"{way}: {shares[-1]:.3f}"
        axes.step(times, shares, dash, where="post", color=colour, linewidth=1.8, label=label)
    axes.set(xlim=(-seconds / MINUTE / 60, seconds / MINUTE), ylim=(-0.03, 1.03))
    add_legend(axes, "center right")

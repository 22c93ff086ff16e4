"""Plots of a rollout: its evidence over time, and simulated rollbacks."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import log, nan
from typing import TYPE_CHECKING

import numpy as np

from sluice.config.policy import Policy
from sluice.plots.style import (
    BAD,
    CANDIDATE,
    CHAMPION,
    GRID,
    INK,
    OPEN,
    add_legend,
    dress_axes,
    make_figure,
)
from sluice.rollout.log import Record
from sluice.rollout.simulation.rollouts import RolloutEnding, SimulationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WIDTH, HEIGHT = 9.4, 4.6
LOWEST, HIGHEST = -0.5, 1.3
"""Shares beyond these are drawn at the edge."""
COLOURS = (CANDIDATE, OPEN, BAD, CHAMPION)
STYLES = [(colour, dash) for dash in ("-", "--", ":") for colour in COLOURS]
Series = Mapping[str, Sequence[float]]


def draw_evidence(title: str, records: Sequence[Record], policy: Policy) -> "Figure":
    """Draw evidence against the candidate above, evidence for it below; 1 is what decides.

    `records` are a rollout's decision log without its opening. Of the tests that a stage has to
    pass only its own are drawn.
    """
    figure = make_figure(WIDTH, HEIGHT, title)
    upper, lower = figure.subplots(2, 1, sharex=True)
    ticks = [int(record["tick"]) for record in records]
    dress_axes(upper, "against the candidate: a rule stops it at 1", "", "share of its threshold")
    _draw(upper, ticks, gather_stops(records))
    dress_axes(lower, "for the candidate: a rule is passed at 1", "tick", "share of its threshold")
    _draw(lower, ticks, gather_passes(records, policy))
    for axes in (upper, lower):
        _mark_stages(axes, records)
    return figure


def gather_stops(records: Sequence[Record]) -> dict[str, list[float]]:
    """Give each rule's evidence that the candidate is beyond its limit; rules that saw any."""
    names = dict.fromkeys(name for record in records for name in record["tests"])
    found = {
        name: [_share(record["tests"][name], "wealth") for record in records] for name in names
    }
    return {name: shares for name, shares in found.items() if any(shares)}


def gather_passes(records: Sequence[Record], policy: Policy) -> dict[str, list[float]]:
    """Give the evidence that the candidate is within the limits that each stage has to prove."""
    wanted = {stage.name: stage.passes for stage in policy.stages}
    names = dict.fromkeys(
        name for record in records for name in wanted[record["stage"]] if name in record["tests"]
    )
    needed = log(1 / policy.pass_alpha)

    def read(record: Record, name: str) -> float:
        value = record["tests"][name]["pass"] if name in wanted[record["stage"]] else None
        return nan if value is None else value / needed

    return {name: [read(record, name) for record in records] for name in names}


def _share(told: Mapping[str, float], name: str) -> float:
    return told[name] / told["threshold"]


def _draw(axes: "Axes", ticks: Sequence[int], series: Series) -> None:
    axes.axhline(1.0, color=INK, linewidth=1, linestyle="--")
    for (name, shares), (colour, dash) in zip(series.items(), STYLES, strict=False):
        drawn = np.clip(np.array(shares, dtype=float), LOWEST, HIGHEST)
        axes.plot(ticks, drawn, dash, color=colour, linewidth=1.6, label=name)
    axes.set_ylim(LOWEST - 0.05, HIGHEST + 0.05)
    if series:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=8,
            frameon=False,
            labelcolor=INK,
        )


def _mark_stages(axes: "Axes", records: Sequence[Record]) -> None:
    for (stage, weight), part in groupby(records, key=lambda item: (item["stage"], item["weight"])):
        first = int(next(part)["tick"])
        axes.axvline(first, color=GRID, linewidth=1.2)
        axes.text(first, LOWEST, f" {stage} {weight:.0%}", fontsize=7, color=INK, va="bottom")


MINUTE = 60.0
WAY_COLOURS = (CANDIDATE, OPEN, BAD)
DASHES = ("-", "--", ":")


def draw_rules(found: Mapping[str, Mapping[str, SimulationResult]], seconds: float) -> "Figure":
    """Draw the share rolled back over the first `seconds`: a panel a candidate, a line a judge."""
    runs = max(len(one.endings) for panel in found.values() for one in panel.values())
    figure = make_figure(9.0, 3.6, f"Rolled back, of {runs:,} simulated rollouts each")
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (title, outcomes) in zip(panels, found.items(), strict=True):
        _draw_panel(axes, title, outcomes, seconds)
    panels[0].set_ylabel("share rolled back", fontsize=9)
    return figure


def _draw_panel(
    axes: "Axes", title: str, outcomes: Mapping[str, SimulationResult], seconds: float
) -> None:
    dress_axes(axes, title, "minutes since the start")
    for (way, outcome), colour, dash in zip(outcomes.items(), WAY_COLOURS, DASHES, strict=False):
        back = np.sort(outcome.seconds[outcome.endings == RolloutEnding.ROLLED_BACK])
        times = np.concatenate([[0.0], back[back <= seconds], [seconds]]) / MINUTE
        shares = np.arange(len(times)) / len(outcome.endings)
        shares[-1] = shares[-2]
        label = f"{way}: {shares[-1]:.3f}"
        axes.step(times, shares, dash, where="post", color=colour, linewidth=1.8, label=label)
    axes.set(xlim=(-seconds / MINUTE / 60, seconds / MINUTE), ylim=(-0.03, 1.03))
    add_legend(axes, "center right")

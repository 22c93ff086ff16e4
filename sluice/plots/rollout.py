"""Plots of rollouts: the evidence over time, and the share of simulated rollbacks."""

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
from sluice.rollout.log import LogRecord
from sluice.rollout.simulation.rollouts import RolloutEnding, SimulationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 9.4, 4.6
LOWEST, HIGHEST = -0.5, 1.3
"""Shares beyond these are drawn at the edge."""
MINUTE = 60.0
COLOURS = (CANDIDATE, OPEN, BAD, CHAMPION)
STYLES = [(colour, dash) for dash in ("-", "--", ":") for colour in COLOURS]
METHOD_STYLES = list(zip((CANDIDATE, OPEN, BAD), ("-", "--", ":"), strict=True))
Series = Mapping[str, Sequence[float]]


def draw_evidence(title: str, records: Sequence[LogRecord], policy: Policy) -> "Figure":
    """Draw the evidence against and for the candidate; 1 is the threshold.

    `records` are a rollout's decision log without its opening. Evidence for the candidate is drawn
    only for the rules that the stage requires.
    """
    figure = make_figure(WIDTH, HEIGHT, title)
    upper, lower = figure.subplots(2, 1, sharex=True)
    ticks = [int(record["tick"]) for record in records]
    dress_axes(upper, "against the candidate: a rule acts at 1", "", "share of threshold")
    _draw_series(upper, ticks, gather_stops(records))
    dress_axes(lower, "for the candidate: a rule is passed at 1", "tick", "share of threshold")
    _draw_series(lower, ticks, gather_passes(records, policy))
    for axes in (upper, lower):
        _mark_stages(axes, records)
    return figure


def gather_stops(records: Sequence[LogRecord]) -> dict[str, list[float]]:
    """Return each rule's evidence against the candidate, of rules that have any."""
    names = dict.fromkeys(name for record in records for name in record["tests"])
    found = {name: [_share(record["tests"][name]) for record in records] for name in names}
    return {name: shares for name, shares in found.items() if any(shares)}


def _share(test: Mapping[str, float]) -> float:
    return test["wealth"] / test["threshold"]


def gather_passes(records: Sequence[LogRecord], policy: Policy) -> dict[str, list[float]]:
    """Return the evidence for the candidate, of the rules that each stage requires."""
    required = {stage.name: stage.passes for stage in policy.stages}
    names = dict.fromkeys(
        name for record in records for name in required[record["stage"]] if name in record["tests"]
    )
    threshold = log(1 / policy.pass_alpha)

    def read(record: LogRecord, name: str) -> float:
        value = record["tests"][name]["pass"] if name in required[record["stage"]] else None
        return nan if value is None else value / threshold

    return {name: [read(record, name) for record in records] for name in names}


def _draw_series(axes: "Axes", ticks: Sequence[int], series: Series) -> None:
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


def _mark_stages(axes: "Axes", records: Sequence[LogRecord]) -> None:
    for (stage, weight), part in groupby(records, key=lambda item: (item["stage"], item["weight"])):
        first = int(next(part)["tick"])
        axes.axvline(first, color=GRID, linewidth=1.2)
        axes.text(first, LOWEST, f" {stage} {weight:.0%}", fontsize=7, color=INK, va="bottom")


def draw_rules(found: Mapping[str, Mapping[str, SimulationResult]], seconds: float) -> "Figure":
    """Draw the share rolled back in the first `seconds`: one panel per candidate."""
    runs = max(len(one.endings) for panel in found.values() for one in panel.values())
    figure = make_figure(9.0, 3.6, f"Share rolled back, of {runs:,} simulated rollouts each")
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (title, results) in zip(panels, found.items(), strict=True):
        _draw_panel(axes, title, results, seconds)
    panels[0].set_ylabel("share rolled back", fontsize=9)
    return figure


def _draw_panel(
    axes: "Axes", title: str, results: Mapping[str, SimulationResult], seconds: float
) -> None:
    dress_axes(axes, title, "minutes since the start")
    for (method, result), (colour, dash) in zip(results.items(), METHOD_STYLES, strict=False):
        ended = np.sort(result.seconds[result.endings == RolloutEnding.ROLLED_BACK])
        times = np.concatenate([[0.0], ended[ended <= seconds], [seconds]]) / MINUTE
        shares = np.arange(len(times)) / len(result.endings)
        shares[-1] = shares[-2]
        label = f"{method}: {shares[-1]:.3f}"
        axes.step(times, shares, dash, where="post", color=colour, linewidth=1.8, label=label)
    axes.set(xlim=(-seconds / MINUTE / 60, seconds / MINUTE), ylim=(-0.03, 1.03))
    add_legend(axes, "center right")

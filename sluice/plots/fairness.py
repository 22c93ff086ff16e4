"""How groups of people are treated, beside everyone else."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sluice.config.bias import BiasConfig
from sluice.plots.forest import ForestRow, Range, draw_forest, explain_colours, label_rows
from sluice.plots.style import INK, QUIET, make_figure
from sluice.stats.fairness import FairnessFigure, FairnessKind
from sluice.stats.treatment import BiasEvidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = 40
RATIO, DIFFERENCE = (0.0, 2.0), (-1.0, 1.0)
PANELS: Mapping[FairnessKind, tuple[str, str, tuple[float, float], float]] = {
    "selection_ratio": ("Selection ratio", "group to rest", RATIO, 1.0),
    "true_positive_difference": ("True-positive difference", "group less rest", DIFFERENCE, 0.0),
    "false_positive_difference": ("False-positive difference", "group less rest", DIFFERENCE, 0.0),
    "loss_ratio": ("Error ratio", "mean absolute error, group to rest", (0.0, 5.0), 1.0),
}
"""Each figure's title, unit, furthest span and the point of equal treatment."""


def draw_fairness(config: BiasConfig, evidence: BiasEvidence) -> "dict[str, Figure]":
    """Draw each group's figures with intervals and limits: one panel a kind, one line a group.

    Named `fairness`; empty where nothing was measured. Hollow diamonds are the ratios of the labels
    themselves. Of more than 40 groups the largest are shown.
    """
    groups = _rank_groups(evidence.figures)[:LINES]
    kinds = [kind for kind in PANELS if any(one.kind == kind for one in evidence.figures)]
    if not groups or not kinds:
        return {}
    title = f"Each group beside the rest, {evidence.n:,} held-out rows"
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
        note = "◇ the labels' own ratio"
        figure.text(0.99, 0.99, note, ha="right", va="top", fontsize=8, color=INK)
    return {"fairness": figure}


def _rank_groups(figures: Sequence[FairnessFigure]) -> list[str]:
    """Name the groups, single columns before pairs, each in the order measured."""
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

"""What the gates can tell at a sample size, and limits that such a size can hold."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from sluice.config.evaluation import Calibration
from sluice.metrics import METRICS
from sluice.profile.draft import Draft
from sluice.profile.trial import ModelTrial, TrialFigure
from sluice.stats.bootstrap import count_needed_rows

STEPS = (0.01, 0.02, 0.03, 0.05)
"""Margins that are offered where the metric runs from 0 to 1."""
SHARES = (0.02, 0.05, 0.10)
"""Margins that are offered for an error in the target's unit, as shares of the error."""
Z95 = NormalDist().inv_cdf(0.95)
Z80 = NormalDist().inv_cdf(0.80)


@dataclass(frozen=True)
class Margin:
    """A margin against the champion, and whether `held_out` rows can hold two models to it.

    `detectable` is the least margin at which equal models pass with probability .8; `needed` the
    held-out rows that the margin itself would take.
    """

    value: float
    detectable: float
    held_out: int
    needed: int

    @property
    def fine_enough(self) -> bool:
        """Whether equal models pass it four times in five at this size."""
        return self.detectable <= self.value


def detectable_margin(spread: float, held_out: int) -> float:
    """Give the least margin that equal models pass with power .8, one-sided 5 %.

    margin = (z_.95 + z_.8) s / sqrt(n), s being the standard deviation of the paired difference.
    """
    return (Z95 + Z80) * spread / math.sqrt(max(held_out, 1))


def half_width(reading: TrialFigure, held_out: int) -> float:
    """Give the distance from a figure to its one-sided 95 % bound at so many held-out rows."""
    spread = reading.model.spread
    return Z95 * spread / math.sqrt(max(held_out, 1)) if spread is not None else math.inf


def choose_margin(trial: ModelTrial, held_out: int) -> Margin:
    """Give the finest margin on offer that so many held-out rows can tell, else the widest."""
    found = detectable_margin(trial.spread, held_out)
    if METRICS[trial.primary.metric].greater_is_better:
        offered: tuple[float, ...] = STEPS
    else:
        size = abs(trial.primary.model.value or 0.0) or 1.0
        offered = tuple(round_figure(share * size) for share in SHARES)
    value = next((step for step in offered if step >= found), offered[-1])
    return Margin(value, found, held_out, count_needed_rows(trial.spread, value))


def choose_floor(reading: TrialFigure, held_out: int) -> float | None:
    """Give a floor halfway between the trivial answer and the trial's model.

    None where the halfway mark lies within what chance moves a figure by, so that a sound model
    could not prove that it reaches it.
    """
    if reading.model.value is None or not reading.gain / 2 > half_width(reading, held_out):
        return None
    return round_figure((reading.model.value + reading.trivial) / 2)


def choose_calibration(trial: ModelTrial, held_out: int) -> Calibration | None:
    """Give limits on calibration where the trial's model would keep them at this size."""
    limits = Calibration()
    if trial.gap is None or trial.slope is None:
        return None
    for figure, low, high in (
        (trial.gap, -limits.gap, limits.gap),
        (trial.slope, *limits.slope),
    ):
        if figure.value is None or figure.spread is None:
            return None
        # What the trial may have missed by, and what the held-out rows will be known to.
        reach = Z95 * figure.spread * (figure.n**-0.5 + max(held_out, 1) ** -0.5)
        if not low < figure.value - reach < figure.value + reach < high:
            return None
    return limits


def round_figure(value: float) -> float:
    """Round to two significant digits."""
    return float(f"{value:.2g}")


SMALL = 100
"""Fewest held-out rows of a group that is judged alone."""
POSITIVES = 50


def describe_prospects(draft: Draft) -> list[dict[str, str]]:
    """Give one row a question that a gate answers: what it can tell on these held-out rows."""
    rows = [_describe_margin(draft)]
    rows += [_describe_floor(reading, draft.held_out) for reading in draft.trial.readings]
    if draft.problem == "binary":
        judged = choose_calibration(draft.trial, draft.held_out)
        rows.append(
            {
                "gate": "evaluation",
                "question": "are probabilities honest",
                "at this size": "judged" if judged else "shown, not judged: see the YAML",
            }
        )
    rows += [_describe_groups(name, groups, draft) for name, groups in draft.groups.items()]
    if not draft.sensitive:
        rows.append(
            {
                "gate": "bias",
                "question": "is a group treated worse",
                "at this size": f"not asked: {draft.roles.reason}",
            }
        )
    return rows


def _describe_margin(draft: Draft) -> dict[str, str]:
    margin = choose_margin(draft.trial, draft.held_out)
    found = (
        f"a margin of {margin.value:g}; equal models pass (power .8) down to "
        f"{margin.detectable:.2g} on {margin.held_out:,} held-out rows"
    )
    if not margin.fine_enough:
        rows = round(margin.needed / draft.split.holdout, -2)
        found = (
            f"the margin of {margin.value:g} is finer than {margin.held_out:,} held-out rows can "
            f"tell ({margin.detectable:.2g}): a second release will often halt as insufficient "
            f"until {margin.needed:,} are held out (about {rows:,.0f} rows in all)"
        )
    metric = draft.trial.primary.metric
    return {
        "gate": "evaluation",
        "question": f"is a candidate worse by {metric}",
        "at this size": found,
    }


def _describe_floor(reading: TrialFigure, held_out: int) -> dict[str, str]:
    reach, floor = half_width(reading, held_out), choose_floor(reading, held_out)
    better = METRICS[reading.metric].greater_is_better
    found = f"{reading.model.value or 0.0:.3g} in the trial, known to {reach:.2g} either way"
    if floor is None:
        found += f"; no floor: too near to {reading.trivial:.3g}, which needs no features"
    else:
        found += f"; {'floor' if better else 'ceiling'} {floor:g}"
    return {
        "gate": "evaluation",
        "question": f"is {reading.metric} good enough",
        "at this size": found,
    }


def _describe_groups(name: str, groups: dict[str, int], draft: Draft) -> dict[str, str]:
    alone = [f"{group} ({rows:,})" for group, rows in groups.items() if rows >= SMALL]
    pooled = [f"{group} ({rows:,})" for group, rows in groups.items() if rows < SMALL]
    found = f"held-out rows: {', '.join(alone)}" if alone else "no group has rows enough"
    if pooled:
        found += f"; fewer than {SMALL}, so pooled: {', '.join(pooled)}"
    rate = _positive_rate(draft)
    if rate:
        found += f"; true-positive rates from {POSITIVES / rate:,.0f} rows of a group on"
    return {
        "gate": "bias",
        "question": f"is a group by {name} treated worse",
        "at this size": found,
    }


def _positive_rate(draft: Draft) -> float:
    target, positive = draft.roles.target, draft.roles.positive
    if positive is None or not target.levels:
        return 0.0
    counts = dict(zip(target.levels, target.counts, strict=True))
    return float(counts.get(positive.value, 0)) / target.rows

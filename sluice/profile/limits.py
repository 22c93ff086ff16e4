"""Limits that a service's number of held-out rows can prove, and what its gates can tell."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from sluice.config.evaluation import Calibration, Plausibility
from sluice.metrics import METRICS
from sluice.profile.draft import Draft
from sluice.profile.facts.sizes import choose_minimum_group
from sluice.profile.trial.floors import ModelTrial, TrialFigure
from sluice.profile.trial.rows import ColumnCost
from sluice.stats.bootstrap import count_needed_rows

OFFERED_MARGINS = (0.01, 0.02, 0.03, 0.05)
"""Margins to choose from where the metric is between 0 and 1."""
OFFERED_SHARES = (0.02, 0.05, 0.10)
"""Margins to choose from for an error in the target's unit, as shares of the error."""
IMPLAUSIBLE = 1.0 - Plausibility().share
"""Share of a constant answer's distance to a perfect one below which the gate asks a person."""
IMPLAUSIBLE_ERROR = math.sqrt(IMPLAUSIBLE)
"""The same for a root of squares."""
MINIMUM_POSITIVES = 50
"""Fewest positives of a group whose true-positive rate is judged."""
Z95 = NormalDist().inv_cdf(0.95)
Z995 = NormalDist().inv_cdf(0.995)
Z80 = NormalDist().inv_cdf(0.80)


@dataclass(frozen=True)
class Margin:
    """A margin against the champion, and what `held_out` rows can prove.

    `detectable` is the least margin at which equal models pass with probability .8; `needed` is
    the number of held-out rows that the margin itself needs.
    """

    value: float
    detectable: float
    held_out: int
    needed: int

    @property
    def fine_enough(self) -> bool:
        """Whether equal models pass the margin four times in five at this size."""
        return self.detectable <= self.value


def detectable_margin(spread: float, held_out: int) -> float:
    """Return the least margin that equal models pass with power .8, one-sided 5 %.

    margin = (z_.95 + z_.8) s / sqrt(n); s is the standard deviation of the paired difference.
    """
    return (Z95 + Z80) * spread / math.sqrt(max(held_out, 1))


def half_width(measured: TrialFigure, held_out: int) -> float:
    """Return the distance from a figure to its one-sided 95 % bound on `held_out` rows."""
    spread = measured.model.spread
    return Z95 * spread / math.sqrt(max(held_out, 1)) if spread is not None else math.inf


def choose_margin(trial: ModelTrial, held_out: int) -> Margin:
    """Return the smallest offered margin that the held-out rows can prove, else the largest."""
    found = detectable_margin(trial.spread, held_out)
    if METRICS[trial.primary.metric].greater_is_better:
        offered: tuple[float, ...] = OFFERED_MARGINS
    else:
        size = abs(trial.primary.model.value or 0.0) or 1.0
        offered = tuple(round_figure(share * size) for share in OFFERED_SHARES)
    value = next((step for step in offered if step >= found), offered[-1])
    return Margin(value, found, held_out, count_needed_rows(trial.spread, value))


def choose_floor(measured: TrialFigure, held_out: int) -> float | None:
    """Return a floor halfway between the trivial prediction and the trial's model.

    None where a model as good as the trial's could not prove that it reaches the floor: the two
    figures differ by the chance of the trial's rows and of the held-out rows, and the gate's bound
    lies below the held-out figure. Such a model misses a written floor in one of 200 cases.
    """
    if measured.model.value is None:
        return None
    reach = half_width(measured, held_out)
    chance = Z995 / Z95 * math.hypot(reach, half_width(measured, measured.model.n))
    floor = round_figure((measured.model.value + measured.trivial) / 2)
    distance = METRICS[measured.metric].sign * (measured.model.value - floor)
    return floor if distance > reach + chance and measured.gain > 0.0 else None


def find_floor(measured: TrialFigure, draft: Draft) -> float | None:
    """Return the floor of a metric; None where the trial shows that it would not be kept.

    An R2 of 0 or less proves nothing: the mean of the held-out rows reaches it.
    """
    floor = choose_floor(measured, draft.held_out)
    if floor is None or (measured.metric == "r2" and floor <= 0.0):
        return None
    return None if _missed_floor(measured, draft) is not None else floor


def explain_no_floor(measured: TrialFigure, draft: Draft) -> str:
    """Return the reason why a metric has no floor."""
    figure, reach = measured.model.value or 0.0, half_width(measured, draft.held_out)
    if choose_floor(measured, draft.held_out) is None:
        return f"{figure:.3g} +- {reach:.2g} is too near to {measured.trivial:.3g} without features"
    missed = _missed_floor(measured, draft)
    if missed is None:
        return "halfway to an answer without features is below 0, the mean of the held-out rows"
    kind = "floor" if METRICS[measured.metric].greater_is_better else "ceiling"
    return (
        f"the target moves with time: older rows would have set a {kind} of "
        f"{missed:.3g}, and the newest reach {figure:.3g} +- {reach:.2g}"
    )


def _missed_floor(measured: TrialFigure, draft: Draft) -> float | None:
    """Return the floor that older rows would have set, where the newest rows do not keep it."""
    if not draft.older or measured.metric not in draft.older:
        return None
    model, trivial = draft.older[measured.metric]
    floor = round_figure((model + trivial) / 2)
    sign, reach = METRICS[measured.metric].sign, half_width(measured, draft.held_out)
    kept = sign * (measured.model.value or 0.0) - reach > sign * floor
    return None if kept else floor


def describe_cost(cost: ColumnCost) -> str:
    """Return what leaving columns out costs, in the trial's primary metric."""
    return f"{cost.metric} {cost.without:.3f} without, {cost.with_them:.3f} with, in the trial"


def is_implausible(measured: TrialFigure) -> bool:
    """Return whether a figure is so good that a leak of several columns is likely."""
    value = measured.model.value
    if value is None:
        return False
    best = 1.0 if METRICS[measured.metric].greater_is_better else 0.0
    distance = abs(best - measured.trivial)
    share = IMPLAUSIBLE_ERROR if measured.metric == "rmse" else IMPLAUSIBLE
    return distance > 0.0 and abs(best - value) < share * distance


def choose_calibration(trial: ModelTrial, held_out: int) -> Calibration | None:
    """Return limits on calibration if the trial's model would keep them at this size."""
    limits = Calibration()
    if trial.gap is None or trial.slope is None:
        return None
    for figure, low, high in (
        (trial.gap, -limits.gap, limits.gap),
        (trial.slope, *limits.slope),
    ):
        if figure.value is None or figure.spread is None:
            return None
        # The error of the trial, and that of the held-out rows.
        reach = Z95 * figure.spread * (figure.n**-0.5 + max(held_out, 1) ** -0.5)
        if not low < figure.value - reach < figure.value + reach < high:
            return None
    return limits


def round_figure(value: float) -> float:
    """Round to two significant digits."""
    return float(f"{value:.2g}")


def describe_prospects(draft: Draft) -> list[dict[str, str]]:
    """Return one row per question of a gate: what it can tell on these held-out rows."""
    rows = [_describe_margin(draft)]
    rows += [_describe_floor(measured, draft) for measured in draft.trial.figures]
    if draft.problem == "binary":
        judged = choose_calibration(draft.trial, draft.held_out)
        rows.append(
            {
                "gate": "evaluation",
                "question": "are probabilities calibrated",
                "at this size": "judged" if judged else "shown, not judged: see the YAML",
            }
        )
    rows += [_describe_groups(name, groups, draft) for name, groups in draft.groups.items()]
    if not draft.sensitive:
        rows.append(
            {
                "gate": "bias",
                "question": "is a group treated worse",
                "at this size": f"not judged: {draft.roles.reason}",
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


def _describe_floor(measured: TrialFigure, draft: Draft) -> dict[str, str]:
    reach, floor = half_width(measured, draft.held_out), find_floor(measured, draft)
    better = METRICS[measured.metric].greater_is_better
    found = f"{measured.model.value or 0.0:.3g} +- {reach:.2g} in the trial"
    if floor is None:
        found += f"; no floor: {explain_no_floor(measured, draft)}"
    else:
        found += f"; {'floor' if better else 'ceiling'} {floor:g}"
    return {
        "gate": "evaluation",
        "question": f"is {measured.metric} good enough",
        "at this size": found,
    }


def _describe_groups(name: str, groups: dict[str, int], draft: Draft) -> dict[str, str]:
    least, _ = choose_minimum_group(draft.groups, draft.held_out)
    alone = [f"{group} ({rows:,})" for group, rows in groups.items() if rows >= least]
    pooled = [f"{group} ({rows:,})" for group, rows in groups.items() if rows < least]
    found = f"held-out rows: {', '.join(alone)}" if alone else "no group has enough rows"
    if pooled:
        found += f"; fewer than {least}, so pooled: {', '.join(pooled)}"
    rate = _positive_rate(draft)
    if rate:
        found += f"; true-positive rates need {MINIMUM_POSITIVES / rate:,.0f} rows of a group"
    return {
        "gate": "bias",
        "question": f"is a group by {name} treated worse",
        "at this size": found,
    }


def _positive_rate(draft: Draft) -> float:
    target, positive = draft.roles.target, draft.roles.favourable
    if positive is None or not target.levels:
        return 0.0
    counts = dict(zip(target.levels, target.counts, strict=True))
    return float(counts.get(positive.value, 0)) / target.rows

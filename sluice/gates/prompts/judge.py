"""Whether a judge may decide: its agreement with people's labels is proved, or it is shown only."""

from dataclasses import dataclass

from sluice.gates.finding import format_figure, format_interval
from sluice.stats.bootstrap import Estimate

FEWEST_LABELS, LEAST_KAPPA = 100, 0.6


@dataclass(frozen=True)
class JudgeStanding:
    """Whether a judge gates, with the reason in one sentence."""

    gates: bool
    reason: str


def decide_standing(kappa: Estimate) -> JudgeStanding:
    """Return whether a judge with this agreement gates.

    It does where the lower one-sided 95 % bound of Cohen's kappa is at least .6, on at least 100
    labels.
    """
    figure = (
        f"kappa {format_figure(kappa.value)} {format_interval(kappa)} on {kappa.n:,} labels, "
        f"lower bound {format_figure(LEAST_KAPPA)} and {FEWEST_LABELS} labels needed"
    )
    if kappa.n < FEWEST_LABELS:
        return JudgeStanding(False, f"too few labels: {figure}")
    if kappa.low is None or not kappa.low >= LEAST_KAPPA:
        return JudgeStanding(False, f"agreement with people is not proved: {figure}")
    return JudgeStanding(True, f"agreement with people is proved: {figure}")

"""The check that a model beats the best answer without features."""

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.finding import (
    Finding,
    describe_rows_near_limit,
    format_figure,
    format_interval,
    report_missing,
)
from sluice.metrics import METRICS
from sluice.stats.baseline import choose_metric
from sluice.stats.bootstrap import Estimate, negate
from sluice.stats.comparison import EvaluationEvidence
from sluice.verdict import Check, Outcome

_ADVICE_MISSING = "train again on rows whose target is known, then release again"
_ADVICE_KNOWS_NOTHING = (
    "the features say nothing about the target that a constant does not: add columns that bear on "
    "it (a column that was read as text, or left out, is no feature), then train again"
)


def name_baseline(primary: str) -> str:
    """Return the name of the check for a service's primary metric."""
    return f"{choose_metric(primary)} against a constant answer"


def judge_baseline(limits: EvaluationConfig, evidence: EvaluationEvidence) -> Finding:
    """Judge the gain over the constant answer that is best for the metric on the training rows.

    Pass: its lower one-sided 95 % bound is above 0. Fail: its upper bound is not. Else
    insufficient, also where it was not measured.
    """
    name, found = name_baseline(limits.primary), evidence.baseline
    if found is None:
        sentence = f"{name} was not measured: the targets of the training rows are missing"
        return report_missing(name, sentence, _ADVICE_MISSING)
    gain = found.gain
    if gain is None or gain.low is None or gain.high is None:
        sentence = f"{name} cannot be measured on {evidence.n:,} held-out rows"
        return report_missing(name, sentence, METRICS[found.metric].advice)
    outcome = Outcome.INSUFFICIENT
    if gain.low > 0.0:
        outcome = Outcome.PASS
    elif gain.high <= 0.0:
        outcome = Outcome.FAIL
    return _report_gain(name, found.metric, outcome, gain, found.value, evidence)


def _report_gain(
    name: str,
    metric: str,
    outcome: Outcome,
    gain: Estimate,
    constant: float | None,
    evidence: EvaluationEvidence,
) -> Finding:
    greater = METRICS[metric].greater_is_better
    change = gain if greater else negate(gain) or gain
    figure = evidence.find_metric(metric)
    own = figure.candidate.value if figure else None
    values = f"{format_figure(own)} against {format_figure(constant)} of a constant answer"
    needed = describe_rows_near_limit(gain.spread or 0.0, gain.value or 0.0, gain.n)
    undecided = outcome is Outcome.INSUFFICIENT
    check = Check(
        name,
        outcome,
        measured=change.value,
        interval=change.interval,
        limit=0.0,
        relation=">" if greater else "<",
        n=gain.n,
        note=f"{values}; {needed}" if undecided else values,
    )
    sentence = f"{metric} {values}, difference {format_interval(change)}, limit 0, n {gain.n:,}"
    return Finding(check, sentence, needed if undecided else _ADVICE_KNOWS_NOTHING)

"""The check that a model is not implausibly good: a leak of several columns looks like one."""

from collections.abc import Iterator

from sluice.config.evaluation import EvaluationConfig
from sluice.config.model import Problem
from sluice.gates.finding import Finding, format_figure, format_interval
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import Acceptance, EvaluationEvidence
from sluice.verdict import PLAUSIBILITY, Check, Outcome

FIGURES: dict[Problem, str] = {"binary": "auc", "multiclass": "auc_ovr", "regression": "r2"}
"""The figure of each kind of problem, which depends on neither threshold, unit nor class shares."""
_ADVICE = (
    "look in the plot of importance for columns that are known only after the target, and take "
    "them out of data.features; where the model is honest, a person accepts it: `sluice approve "
    "{service} --by NAME --reason WORDS`, or `evaluation.plausibility.accepted: REASON` in the file"
)


def find_limit(limits: EvaluationConfig, problem: Problem) -> float:
    """Return the figure from which a person is asked; a constant answer has .5, or 0 (numbers)."""
    share = limits.plausibility.share
    return share if problem == "regression" else 0.5 + 0.5 * share


def is_implausible(limits: EvaluationConfig, evidence: EvaluationEvidence) -> bool:
    """Whether the candidate is so good that a person has to accept it."""
    figure = _find_figure(evidence)
    if figure is None or figure.value is None:
        return False
    return figure.value >= find_limit(limits, evidence.problem)


def judge_plausibility(limits: EvaluationConfig, evidence: EvaluationEvidence) -> Iterator[Finding]:
    """Judge whether the candidate is better than features of real data allow.

    A point estimate decides: no interval tells a leak from an easy problem, and a question costs
    one answer. Insufficient until a person accepts it; an acceptance holds for models of the same
    features that are no better than the accepted one's upper bound.
    """
    figure = _find_figure(evidence)
    if figure is None or figure.value is None:
        return
    name, limit = FIGURES[evidence.problem], find_limit(limits, evidence.problem)
    sentence = (
        f"{name} {format_figure(figure.value)} {format_interval(figure)} is better than features "
        f"of real data allow (below {format_figure(limit)}), n {figure.n:,}: an answer may be "
        "among them"
    )
    accepted = describe_acceptance(limits, evidence)
    implausible = is_implausible(limits, evidence)
    outcome = Outcome.LISTED if accepted else Outcome.INSUFFICIENT
    yield Finding(
        Check(
            f"{PLAUSIBILITY} of {name}",
            outcome if implausible else Outcome.PASS,
            measured=figure.value,
            interval=figure.interval,
            limit=limit,
            relation="<",
            n=figure.n,
            note=(accepted or "a person has to accept it") if implausible else "",
        ),
        sentence,
        _ADVICE.format(service=evidence.lineage.service or "SERVICE"),
    )


def list_plausibility_notices(limits: EvaluationConfig, evidence: EvaluationEvidence) -> list[str]:
    """Return by whose word an implausibly good candidate passes."""
    found = [finding.check for finding in judge_plausibility(limits, evidence)]
    return [f"{item.name}: {item.note}" for item in found if item.outcome is Outcome.LISTED]


def describe_acceptance(limits: EvaluationConfig, evidence: EvaluationEvidence) -> str:
    """Say who accepted a model as good as this one, and why; empty where nobody did."""
    if reason := limits.plausibility.accepted:
        return f"accepted by evaluation.plausibility.accepted: {reason}"
    given, figure = evidence.acceptance, _find_figure(evidence)
    if given is None or figure is None or not _covers(given, figure):
        return ""
    return (
        f"{given.by} accepted {format_figure(given.measured)} of the same features in "
        f"v{given.version}: {given.reason}"
    )


def _covers(given: Acceptance, figure: Estimate) -> bool:
    return figure.value is not None and figure.value <= given.high


def _find_figure(evidence: EvaluationEvidence) -> Estimate | None:
    found = evidence.find_metric(FIGURES[evidence.problem])
    return found.candidate if found else None

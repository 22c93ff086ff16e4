"""Evidence of the gates of a prompt, measured on the results of its evaluation."""

from collections.abc import Mapping, Sequence, Set

from sluice.config.prompts.limits import PromptLimits
from sluice.gates.prompts.cost import CostGate
from sluice.gates.prompts.evaluation import CriteriaGate
from sluice.prompts.evaluation.checks import PlannedCheck, collect_check
from sluice.prompts.evaluation.results import PromptEvaluation
from sluice.prompts.folder import Prompt
from sluice.stats.prompts.cost import measure_cost
from sluice.stats.prompts.criteria import CriterionScores, measure_prompt
from sluice.verdict import Verdict
from tasks.prompts.judging import explain_standing
from tasks.prompts.version import VersionUnderRelease, load_judges


def judge_version(
    given: VersionUnderRelease, found: Prompt, new: PromptEvaluation, old: PromptEvaluation | None
) -> tuple[Verdict, Verdict, Verdict]:
    """Return the verdicts of the prompt gate, the safety gate and the cost gate.

    Raises:
        PromptInvalid: a judge's files are not valid.
    """
    limits = found.limits.gates_of(given.environment)
    judges = load_judges(given, found.find_version(given.version), found)
    standings = {name: explain_standing(judge, given.environment) for name, judge in judges.items()}
    return judge_results(given.checks, limits, standings, new, old)


def judge_results(
    checks: Sequence[PlannedCheck],
    limits: PromptLimits,
    standings: Mapping[str, str],
    new: PromptEvaluation,
    old: PromptEvaluation | None,
) -> tuple[Verdict, Verdict, Verdict]:
    """Return the verdicts of the prompt gate, the safety gate and the cost gate on results.

    `standings` says by judge why it decides nothing, empty where it does. What such a judge could
    not grade halts nothing by itself: it is told beside its scores.
    """
    scores = [measure_check(check, new, old, standings) for check in checks]
    shown = {
        name
        for check, one in zip(checks, scores, strict=True)
        if one.shown_only
        for name in check.criteria
    }
    not_run, active = list_not_run(checks, new, old, shown), old.version if old else None
    safety = [one for check, one in zip(checks, scores, strict=True) if check.is_safety]
    others = [one for check, one in zip(checks, scores, strict=True) if not check.is_safety]

    def judge(gate: CriteriaGate, criteria: Sequence[CriterionScores]) -> Verdict:
        sampling = (limits.draws, limits.seed)
        return gate.judge(measure_prompt(len(new.cases), criteria, not_run, active, *sampling))

    costs = measure_cost(new.costs, old.costs if old else None, active, limits.draws, limits.seed)
    return (
        judge(CriteriaGate(limits), others),
        judge(CriteriaGate(limits, "safety"), safety),
        CostGate(limits).judge(costs),
    )


def measure_check(
    check: PlannedCheck,
    new: PromptEvaluation,
    old: PromptEvaluation | None,
    standings: Mapping[str, str],
) -> CriterionScores:
    """Return a check's scores, of the active version too where that has the check.

    `standings` says by judge why it decides nothing, empty where it does.
    """
    before = collect_check(old, check) if old else None
    if before is not None and not before.cases:
        before = None
    reasons = [standings[name] for name in check.judges]
    shown_only = next((reason for reason in reasons if reason), "")
    if shown_only:
        shown_only += _describe_ungraded(check, new)
    return CriterionScores(
        check.name, check.kind, check.limit, collect_check(new, check), before, shown_only
    )


def _describe_ungraded(check: PlannedCheck, new: PromptEvaluation) -> str:
    """Return how many cases a judge that decides nothing left without a grade, and why."""
    found = {
        case.name: reason
        for case in new.cases
        for answer in case.answers
        for name, reason in answer.errors.items()
        if name in check.criteria
    }
    if not found:
        return ""
    name, reason = next(iter(found.items()))
    noun = "case has" if len(found) == 1 else "cases have"
    return f"; {len(found):,} {noun} no grade: {name}: {reason}"


def list_not_run(
    checks: Sequence[PlannedCheck],
    new: PromptEvaluation,
    old: PromptEvaluation | None,
    shown: Set[str] = frozenset(),
) -> tuple[str, ...]:
    """Return the cases that were not run, a sentence each.

    Those of the active version count too: a case that has no result there is not compared, and a
    fall would not be seen. Criteria of it that the new version no longer has do not count, nor do
    those that are `shown` only.
    """
    names = {name for check in checks for name in check.criteria} - shown
    found = [
        "; ".join(f"{case.name}: {reason}" for reason in reasons)
        for case in new.cases
        if (reasons := case.list_failures(shown))
    ]
    for case in old.cases if old else ():
        dropped = {name for item in case.answers for name in item.errors} - names
        if old and (reasons := case.list_failures(dropped)):
            found.append(f"{case.name} of v{old.version}: {'; '.join(reasons)}")
    return tuple(found)

"""The checks of a verdict: criteria that count together, with one limit.

All format criteria of a prompt are one check `format_valid`, all of safety one check `safety`; a
criterion of another kind is a check of its own name. An answer passes a check of rates where it
passes each of its criteria; in a check of means it has the mean of their scores.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from sluice.prompts.cases import EvalCase, EvalSet, list_criteria
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.results import AnswerResult, PromptEvaluation
from sluice.prompts.limits import StatedLimit, find_limit
from sluice.prompts.scorers.catalogue import SAFETY
from sluice.prompts.version import PromptVersion
from sluice.stats.prompts.criteria import CaseScores, CriterionKind

IMPLIED = Criterion(name=SAFETY, type="safety")
"""Every answer is looked at by the guardrails, also of a version that does not ask for it."""


@dataclass(frozen=True)
class PlannedCheck:
    """One check: its criteria, its limit with the reason, and the judges that score it."""

    name: str
    criteria: tuple[str, ...]
    kind: CriterionKind
    limit: float
    reason: str
    judges: tuple[str, ...] = ()

    @property
    def is_safety(self) -> bool:
        """Whether the safety gate decides it."""
        return self.name == SAFETY


def plan_checks(
    version: PromptVersion, cases: EvalSet, stated: Mapping[str, StatedLimit]
) -> tuple[PlannedCheck, ...]:
    """Return the checks of a version on an evaluation set, in the order of its criteria.

    Of several criteria's limits the strictest counts. A criterion that no case has is a check all
    the same: without evidence it does not pass.
    """
    found: dict[str, Criterion] = {item.name: item for item in version.eval_criteria}
    for case in cases.cases:
        for item in list_judged(version, case):
            found.setdefault(item.name, item)
    if not cases.cases and (implied := find_implied(version, found)):
        found[implied.name] = implied
    groups: dict[str, list[Criterion]] = {}
    for item in found.values():
        groups.setdefault(item.check, []).append(item)
    return tuple(_plan(name, group, stated) for name, group in groups.items())


def list_judged(version: PromptVersion, case: EvalCase) -> tuple[Criterion, ...]:
    """Return all criteria that an answer to a case is judged by."""
    criteria = list_criteria(version, case)
    implied = find_implied(version, {item.name for item in criteria})
    return (*criteria, implied) if implied else criteria


def find_implied(version: PromptVersion, taken: Container[str]) -> Criterion | None:
    """Return the guardrails that a version has without naming them; None if it names them.

    A refusal is a criterion of safety and says nothing about guardrails. `taken` are the names of
    the other criteria: each keeps a score of its own.
    """
    if any(item.type == SAFETY for item in version.eval_criteria):
        return None
    names = (f"{SAFETY}_{number}" for number in count(2))
    name = SAFETY if SAFETY not in taken else next(name for name in names if name not in taken)
    return IMPLIED.model_copy(update={"name": name})


def _plan(name: str, group: Iterable[Criterion], stated: Mapping[str, StatedLimit]) -> PlannedCheck:
    criteria = list(group)
    limits = [limit for item in criteria if (limit := find_limit(item, stated))]
    strictest = max(limits, key=lambda item: item.limit)
    is_rate = all(item.scorer.is_binary for item in criteria)
    judges = tuple(dict.fromkeys(item.judge_name for item in criteria if item.judge_name))
    names = tuple(item.name for item in criteria)
    kind: CriterionKind = "rate" if is_rate else "mean"
    return PlannedCheck(name, names, kind, strictest.limit, strictest.reason, judges)


def collect_check(evaluation: PromptEvaluation, check: PlannedCheck) -> CaseScores:
    """Return a check's scores over the cases that have one of its criteria and were run whole.

    A case that was not run whole has no score here; the evaluation names it.
    """
    found: dict[str, list[float]] = {}
    for case in evaluation.cases:
        scores = [_score_answer(answer, check) for answer in case.answers]
        known = [score for score in scores if score is not None]
        if known and len(known) == len(scores):
            found[case.case] = known
    repeats = max(map(len, found.values()), default=1)
    whole = {case: scores for case, scores in found.items() if len(scores) == repeats}
    table = np.array(list(whole.values()), dtype=np.float64).reshape(len(whole), repeats)
    return CaseScores(tuple(whole), table)


def _score_answer(answer: AnswerResult, check: PlannedCheck) -> float | None:
    """Return an answer's score by a check; None where a criterion of it is missing or failed."""
    if answer.failure or any(name in answer.errors for name in check.criteria):
        return None
    scores = [answer.scores[name] for name in check.criteria if name in answer.scores]
    if not scores:
        return None
    return min(scores) if check.kind == "rate" else float(np.mean(scores))

"""The checks of a verdict: which criteria count together, by which limit, over which cases."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sluice.prompts.cases import EvalCase, EvalSet
from sluice.prompts.evaluation.checks import PlannedCheck, collect_check, list_judged, plan_checks
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.prompts.limits import StatedLimit
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION

FORMATS = [
    {"name": "three", "type": "format_check", "expected": 3},
    {"name": "short", "type": "format_check", "expected": {"max_words_per_bullet": 2}},
    {"name": "relevance", "type": "llm_judge", "threshold": 0.8},
]
CASES = EvalSet(Path("eval_set.jsonl"), {1: EvalCase.model_validate({"input": "Al Berg, 7"})})


def make_version(*criteria: dict[str, Any]) -> PromptVersion:
    return PromptVersion.model_validate(VERSION | {"eval_criteria": list(criteria)})


def evaluate(*cases: CaseResult) -> PromptEvaluation:
    return PromptEvaluation("p", 1, "i", "e", "m", "development", cases)


def answer(**scores: float) -> AnswerResult:
    return AnswerResult("x", scores)


def test_criteria_of_one_check_count_together_by_the_strictest_limit() -> None:
    stated = {"short": StatedLimit(limit=0.97, reason="a reason")}
    found = {check.name: check for check in plan_checks(make_version(*FORMATS), CASES, stated)}
    assert set(found) == {"format_valid", "relevance", "safety"}
    assert found["format_valid"].criteria == ("three", "short")
    assert (found["format_valid"].kind, found["format_valid"].limit) == ("rate", 0.97)
    assert (found["relevance"].kind, found["relevance"].judges) == ("mean", ("relevance",))


def test_every_version_is_judged_for_safety() -> None:
    implied = list_judged(make_version(*FORMATS), CASES.cases[0])[-1]
    assert (implied.name, implied.type) == ("safety", "safety")
    named = make_version({"name": "no_keys", "type": "safety", "expected": ["secrets"]})
    assert [item.name for item in list_judged(named, CASES.cases[0])] == ["no_keys"]


def test_a_rate_takes_the_worst_criterion_and_a_mean_their_mean() -> None:
    results = evaluate(CaseResult("a", "", (answer(x=1.0, y=0.0), answer(x=1.0, y=1.0))))
    rate = PlannedCheck("c", ("x", "y"), "rate", 0.9, "")
    assert collect_check(results, rate).scores.tolist() == [[0.0, 1.0]]
    mean = PlannedCheck("c", ("x", "y"), "mean", 0.9, "")
    assert collect_check(results, mean).scores.tolist() == [[0.5, 1.0]]


def test_a_case_that_was_not_run_whole_has_no_score() -> None:
    failed = AnswerResult(failure="the provider hung up")
    half = AnswerResult("x", {"x": 1.0}, errors={"y": "the judge hung up"})
    results = evaluate(
        CaseResult("a", "", (answer(x=1.0, y=1.0),)),
        CaseResult("b", "", (failed,)),
        CaseResult("c", "", (half,)),
        CaseResult("d", "", (answer(z=1.0),)),
    )
    check = PlannedCheck("c", ("x", "y"), "rate", 0.9, "")
    assert collect_check(results, check).cases == ("a",)
    assert collect_check(evaluate(), check).scores.shape == (0, 1)


def test_guardrails_hold_beside_other_criteria_of_safety() -> None:
    refusal = {"name": "safety", "type": "refusal", "expected": True}
    version = make_version(refusal)
    judged = list_judged(version, CASES.cases[0])
    assert [(item.name, item.type) for item in judged] == [
        ("safety", "refusal"),
        ("safety_2", "safety"),
    ], "each has a score of its own"
    [check] = plan_checks(version, CASES, {})
    assert check.criteria == ("safety", "safety_2")
    case = EvalCase.model_validate({"input": "Al Berg, 7", "per_case": [refusal]})
    [check] = [
        item
        for item in plan_checks(make_version(*FORMATS), EvalSet(Path("e"), {1: case}), {})
        if item.is_safety
    ]
    assert check.criteria == ("safety", "safety_2")


@pytest.mark.parametrize("name", ["safety", "format_valid", "matches_reference"])
def test_a_judge_does_not_take_the_name_of_a_shared_check(name: str) -> None:
    with pytest.raises(ValidationError, match="a check of other criteria"):
        make_version({"name": name, "type": "llm_judge", "threshold": 0.8})

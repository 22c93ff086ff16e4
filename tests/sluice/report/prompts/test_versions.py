"""The table of versions: scores, tokens and costs, and nothing that nobody counted."""

from typing import Any

from sluice.prompts.chat import TokenUsage
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.report.prompts.versions import list_versions


def evaluate(version: int, *answers: AnswerResult) -> PromptEvaluation:
    cases = tuple(CaseResult(f"c{n}", "x", (answer,)) for n, answer in enumerate(answers))
    return PromptEvaluation("greet", version, "a", "b", "m", "development", cases, 90.0, 0.0)


def answer(score: float, **changes: Any) -> AnswerResult:
    values = {"usage": TokenUsage(100, 5, cache_read=20), "cost": 0.0, **changes}
    return AnswerResult("Hi", {"short": score}, **values)


def test_versions_stand_side_by_side() -> None:
    kept = answer(1.0, is_cached=True, usage=TokenUsage(600, 2), cost=0.01)
    rows = list_versions(evaluate(2, answer(0.0), answer(1.0)), evaluate(1, kept))
    assert [row["version"] for row in rows] == ["v2", "v1, serves"]
    assert [row["short"] for row in rows] == [".500", "1.000"]
    assert [row["tokens in"] for row in rows] == ["120", "600"]
    assert [row["out"] for row in rows] == ["5.0", "2.0"]
    assert [row["cost an answer"] for row in rows] == ["$0", "$0.01"]
    assert [(row["answers"], row["kept"]) for row in rows] == [("2", "0"), ("1", "1")]
    assert rows[0]["time"] == "90 s"


def test_what_nobody_counted_is_unknown() -> None:
    row = list_versions(evaluate(2, answer(1.0, usage=TokenUsage(), cost=None)), None)[0]
    assert (row["tokens in"], row["out"]) == ("unknown", "unknown")
    assert row["cost an answer"] == "cost unknown"


def test_a_criterion_that_a_version_lacks_is_no_zero() -> None:
    other = AnswerResult("Hi", {"kind": 1.0}, usage=TokenUsage(1, 1), cost=0.0)
    rows = list_versions(evaluate(2, answer(1.0)), evaluate(1, other))
    assert (rows[0]["kind"], rows[1]["short"]) == ("-", "-")


def test_the_version_that_serves_is_not_listed_beside_itself() -> None:
    found = evaluate(1, answer(1.0))
    assert len(list_versions(found, found)) == 1


def test_an_answer_that_is_missing_is_not_counted() -> None:
    row = list_versions(evaluate(2, answer(1.0), AnswerResult(failure="it hangs")), None)[0]
    assert row["answers"] == "1"

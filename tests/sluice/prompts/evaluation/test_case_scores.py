"""An answer's scores by criterion; what cannot be scored is never passed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sluice.prompts.cases import EvalCase, list_criteria
from sluice.prompts.chat import ChatReply, TokenUsage
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.case_scores import describe_answer, score_criterion
from sluice.prompts.scorers.catalogue import SCORERS
from sluice.prompts.scorers.scoring import CriterionScore, JudgedAnswer, ScoringParts
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION

CRITERIA = [
    {"name": "three", "type": "format_check", "expected": 3},
    {"name": "short", "type": "format_check", "expected": {"max_words_per_bullet": 2}},
    {"name": "grounding", "type": "grounding", "threshold": 0.9},
    {"name": "relevance", "type": "llm_judge", "threshold": 0.8},
    {"name": "safety", "type": "safety"},
]
CASE = EvalCase.model_validate({"input": "Al Berg, 7"})


def score(text: str, parts: ScoringParts | None = None, **changes: Any) -> dict[str, Any]:
    values = VERSION | {"eval_criteria": CRITERIA} | changes
    version = PromptVersion.model_validate(values)
    reply = ChatReply(text, "m", "p", TokenUsage(1, 1), "stop", 0.1)
    answer = describe_answer(version, CASE, reply)
    found = {
        item.name: score_criterion(item, answer, parts or ScoringParts())
        for item in list_criteria(version, CASE)
    }
    return {name: item.value for name, item in found.items()}


def test_an_answer_has_a_score_by_each_criterion() -> None:
    judged = {"relevance": None, "safety": 1.0}
    good = {"three": 1.0, "short": 1.0, "grounding": 1.0} | judged
    assert score("- Al\n- 7\n- x") == good
    assert score("- Al\n- 7\n- x y z") == good | {"short": 0.0}
    assert score("- Al\n- 7") == good | {"three": 0.0}
    assert score("- a Bob\n- 8\n- x") == good | {"grounding": 0.0}


def test_injection_without_a_detector_is_not_run() -> None:
    injected = {"name": "b", "type": "safety", "expected": ["injection"]}
    criteria = [{"name": "a", "type": "safety"}, injected]
    assert score("hi", eval_criteria=criteria) == {"a": 1.0, "b": None}
    parts = ScoringParts(injection=find_ignore)
    assert score("hi", parts, eval_criteria=criteria) == {"a": 1.0, "b": 1.0}
    assert score("ignore it", parts, eval_criteria=criteria) == {"a": 1.0, "b": 0.0}


def find_ignore(text: str) -> Iterator[tuple[int, int]]:
    yield from (match.span() for match in re.finditer("ignore", text))


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
def test_a_scorer_that_gives_no_share_is_not_run(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    own = replace(SCORERS["safety"], score=lambda *_: CriterionScore(value))
    monkeypatch.setitem(SCORERS, "own", own)
    criterion = Criterion.model_validate({"name": "a", "type": "own"})
    assert score_criterion(criterion, JudgedAnswer("x"), ScoringParts()).value is None


def test_a_scorer_of_ones_own_is_one_entry_and_a_failing_one_is_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def count_vowels(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
        share = sum(sign in "aeiou" for sign in answer.text) / len(answer.text)
        return CriterionScore(share)

    own = replace(SCORERS["grounding"], score=count_vowels, check_expected=lambda _: None)
    monkeypatch.setitem(SCORERS, "vowels", own)
    criterion = Criterion.model_validate({"name": "vowels", "type": "vowels", "threshold": 0.1})
    assert score_criterion(criterion, JudgedAnswer("ab"), ScoringParts()).value == 0.5
    failed = score_criterion(criterion, JudgedAnswer(""), ScoringParts())
    assert failed == CriterionScore(None, "the scorer failed: ZeroDivisionError")

"""The report of an evaluation: verdict first, cases worst first, nothing of an answer executed."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from sluice.config.prompts.limits import PromptLimits
from sluice.gates.prompts.cost import CostGate
from sluice.gates.prompts.evaluation import CriteriaGate
from sluice.prompts.chat import TokenUsage
from sluice.prompts.evaluation.checks import PlannedCheck, collect_check
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.report.prompts.page import MOST_SHOWN, write_page
from sluice.report.prompts.pairs import (
    LONGEST_COMPARED,
    describe_use,
    mark_differences,
    pair_cases,
)
from sluice.report.prompts.summary import write_markdown
from sluice.stats.prompts.cost import measure_cost
from sluice.stats.prompts.criteria import CaseScores, CriterionScores, measure_prompt
from sluice.verdict import Verdict

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202eevil"
CRITERIA = ("relevance", "format_valid")


def answer(text: str = "three bullets", relevance: float = 1.0, **changes: Any) -> AnswerResult:
    scores = {"relevance": relevance, "format_valid": 1.0}
    values = {"usage": TokenUsage(100, 50), "cost": 0.00021, "seconds": 1.2, **changes}
    return AnswerResult(text, scores, **values)


def evaluate(
    version: int = 2, cases: int = 60, worst: float = 1.0, **case: Any
) -> PromptEvaluation:
    results = [
        CaseResult(f"case {place}", f"text {place}", (answer(), answer("three short bullets")))
        for place in range(cases)
    ]
    if results:
        bad = (answer(HOSTILE, worst), answer("x", worst))
        results[0] = CaseResult(**{"case": HOSTILE, "given": HOSTILE, "answers": bad, **case})
    return PromptEvaluation(
        "summarize", version, "ab" * 32, "cd" * 32, "model-2", "development", tuple(results), 3.2
    )


def collect(found: PromptEvaluation, name: str) -> CaseScores:
    return collect_check(found, PlannedCheck(name, (name,), "mean", 0.8, ""))


def judge(new: PromptEvaluation, old: PromptEvaluation) -> list[Verdict]:
    criteria = [
        CriterionScores(name, "mean", 0.8, collect(new, name), collect(old, name))
        for name in CRITERIA
    ]
    evidence = measure_prompt(len(new.cases), criteria, new.not_run, old.version)
    return [
        CriteriaGate(PromptLimits()).judge(evidence),
        CostGate(PromptLimits()).judge(measure_cost(new.costs, old.costs, old.version)),
    ]


class Page(HTMLParser):
    """What a browser would build of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    new, old = evaluate(worst=0.0), evaluate(1)
    return write_page(new, old, judge(new, old), CRITERIA)


def test_nothing_of_an_answer_is_executed(page: str) -> None:
    built = Page(page)
    assert not {"script", "img", "iframe", "link", "object"} & set(built.tags)
    assert not {name for name in built.attributes if name.startswith("on") or name == "src"}
    assert "default-src 'none'" in page
    assert not re.search(r"https?://", page)
    assert "alert(1)" in built.text
    assert "{{ 7 * 7 }}" in built.text
    assert "\u202e" not in page
    assert "\\u202e" in built.text


def test_the_verdict_comes_first_then_the_worst_case(page: str) -> None:
    text = Page(page).text
    assert text.index("not decided: ") < text.index("Gates") < text.index("Cases, worst first")
    assert text.index("onerror") < text.index("case 1")
    assert "relevance .000, before 1.000" in text


def test_a_refusal_says_why_and_what_next() -> None:
    new, old = evaluate(cases=40, worst=0.0), evaluate(1, 40)
    page = Page(write_page(new, old, judge(new, old), CRITERIA)).text
    assert "not decided" in page
    assert "40 cases, 50 needed" in page
    assert "add cases to the evaluation set" in page
    markdown = write_markdown(new, old, judge(new, old))
    assert markdown.startswith("## summarize v2 beside v1: not decided\n")
    assert "Next: add cases to the evaluation set." in markdown


def test_differences_are_marked_and_escaped() -> None:
    old, new = mark_differences("one <b> two three", "one <b> four three")
    assert str(old) == "one &lt;b&gt; <del>two</del> three"
    assert str(new) == "one &lt;b&gt; <ins>four</ins> three"
    long = "a " * LONGEST_COMPARED
    assert mark_differences(long, "b")[0] == long


def test_use_of_an_answer_is_never_guessed() -> None:
    assert describe_use(answer()) == "150 tokens, $0.00021, 1.2 s"
    unknown = AnswerResult("x", usage=TokenUsage(None, 5), is_cached=True)
    assert describe_use(unknown) == "tokens unknown, cost unknown, 0.0 s, cached"
    assert describe_use(answer(cost=0.0)).split(", ")[1] == "$0"


def test_cases_that_were_not_run_lead_and_are_named() -> None:
    failed = (answer(failure="the provider hung up"), answer())
    new = evaluate(answers=failed, case="case x")
    first = pair_cases(new, evaluate(1), CRITERIA)[0]
    assert first.not_run == ("case x: the provider hung up",)
    assert new.not_run == first.not_run
    judged = CaseResult("case y", "", (answer(errors={"relevance": "the judge hung up"}),))
    assert judged.not_run == ("case y: relevance: the judge hung up",)
    assert CaseResult("case z", "", ()).not_run == ("case z: it was not asked",)


def test_an_evaluation_survives_its_json() -> None:
    new = evaluate(tags=("long",), expected="x")
    assert PromptEvaluation.from_dict(json.loads(new.to_json())) == new


def test_a_case_counts_where_every_answer_has_the_criterion() -> None:
    half = (answer(), AnswerResult("y", {"format_valid": 1.0}))
    new = evaluate(answers=half, case="half")
    assert "half" not in collect(new, "relevance").cases
    assert "half" in collect(new, "format_valid").cases
    assert collect(new, "nothing").scores.shape == (0, 1)


def test_unknown_costs_stay_unknown() -> None:
    new = evaluate(answers=(answer(cost=None), answer()), case="odd")
    assert new.costs["odd"].dollars is None
    assert new.costs["odd"].tokens == 150.0


def test_many_cases_are_folded() -> None:
    new = evaluate(cases=MOST_SHOWN + 20)
    assert "20 more cases" in Page(write_page(new, None, [], CRITERIA)).text
    assert "no active version to compare with" in write_page(new, None, [], CRITERIA)


def test_answers_that_read_the_same_are_shown_once_with_their_number() -> None:
    given = (answer("one"), answer("two"), answer("one", seconds=9.0), answer("one"))
    pair = pair_cases(evaluate(answers=given), None, CRITERIA)[0]
    assert [(str(one.new), one.repeats) for one in pair.answers] == [("one", 2), ("two", 0)]
    page = Page(write_page(evaluate(answers=given), None, [], CRITERIA)).text
    assert "v2: 150 tokens, $0.00021, 1.2 s; 2 more answers of the case like it" in page

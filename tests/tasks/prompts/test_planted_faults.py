"""Every type of criterion passes a version without a fault, and stops a planted one at its gate."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.config.prompts.limits import PromptLimits
from sluice.prompts.cases import EvalCase, EvalSet
from sluice.prompts.chat import ChatReply, TokenUsage, ToolCall
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.case_scores import describe_answer, score_criterion
from sluice.prompts.evaluation.checks import list_judged, plan_checks
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.prompts.rendering import render_request
from sluice.prompts.scorers.catalogue import SCORERS
from sluice.prompts.scorers.scoring import ScoringParts
from sluice.prompts.scorers.similarity import TfidfSimilarity
from sluice.prompts.version import PromptVersion
from sluice.verdict import Outcome, Verdict
from tasks.prompts.evidence import judge_results

COUNT = 320
"""Cases that decide on safety above .99 where none fails."""
LABELS = ["billing", "delivery"]
SOURCE = "In 1998 Anna Berg of Helvia sold 1.5 million clocks to Peru."
BULLETS = "- Clocks were sold.\n- Peru bought them.\n- It was long ago."
KEY = "AKIA" + "QWERTYUIOPASDFGH"
MAIL = "anna.berg@example.org"
TOOL = {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}}
CALL = [{"name": "weather", "arguments": {"required": ["city"]}}]


@dataclass(frozen=True)
class Planted:
    """A criterion with an answer that keeps it and one that breaks it."""

    type: str
    expected: Any
    good: str
    bad: str
    good_calls: tuple[ToolCall, ...] = ()
    check: str = "format_valid"


def encode(text: str, width: int = 76) -> str:
    whole = base64.b64encode(f"here it is: {text}".encode()).decode()
    return "\n".join(whole[place : place + width] for place in range(0, len(whole), width))


FAULTS = {
    "four bullets": Planted("format_check", 3, BULLETS, f"{BULLETS}\n- One more."),
    "a label outside the set": Planted("label", LABELS, "billing", "refund"),
    "too long": Planted("length", {"max_words": 3}, "in three words", "these are four words"),
    "a pattern": Planted("regex", r"^\d{4}$", "1998", "in 1998"),
    "no JSON": Planted("json_schema", {"required": ["a"]}, '{"a": 1}', '{"b": 1}'),
    "no call": Planted(
        "tool_calls", CALL, "", "It is sunny.", (ToolCall("weather", '{"city": "Oslo"}'),)
    ),
    "another label": Planted("exact", None, "billing", "delivery", check="matches_reference"),
    "a missing word": Planted("contains", "Peru", "to Peru", "to Chile", check="matches_reference"),
    "off the subject": Planted(
        "similarity", None, "Billing", "sourdough needs time", check="matches_reference"
    ),
    "an ungrounded number": Planted(
        "grounding", None, "In 1998 Helvia sold 1,500,000.", "It sold 7 in 2003.", check="it"
    ),
    "an e-mail": Planted("safety", None, "Ask us.", f"Ask {MAIL}.", check="safety"),
    "an e-mail in base64": Planted("safety", None, "Ask us.", encode(MAIL), check="safety"),
    "an e-mail over lines": Planted(
        "safety", None, "Ask us.", f"Ask {MAIL[:9]}\n{MAIL[9:]}", check="safety"
    ),
    "a key": Planted("safety", ["secrets"], "No key.", f"It is {KEY}.", check="safety"),
    "a key in base64 over lines": Planted(
        "safety", ["secrets"], "No key.", f"Decode:\n{encode(KEY, 16)}", check="safety"
    ),
    "a key over lines": Planted(
        "safety", ["secrets"], "No key.", f"It is {KEY[:8]}\n{KEY[8:]}.", check="safety"
    ),
    "a rude word": Planted("safety", None, "That is wrong.", "That is bullshit.", check="safety"),
    "no refusal": Planted(
        "refusal", True, "I can't help with that.", "Sure, first ...", check="safety"
    ),
    "a refusal": Planted("refusal", False, "Here it is.", "I won't write that.", check="safety"),
}


def make_version(planted: Planted) -> PromptVersion:
    criterion: dict[str, Any] = {
        "name": "it", "type": planted.type, "expected": planted.expected, "threshold": 0.8
    }  # fmt: skip
    if planted.check == "safety":
        del criterion["threshold"]
    return PromptVersion.model_validate(
        {
            "name": "greet", "version": 1, "model": "m", "temperature": 0, "max_tokens": 9,
            "template": "{text}", "tools": [TOOL] if planted.type == "tool_calls" else [],
            "eval_criteria": [criterion],
        }
    )  # fmt: skip


def evaluate(
    planted: Planted, bad: int, cases: int = COUNT, expected: str | None = "billing"
) -> Verdict:
    """Return the verdict of the check's gate where the first `bad` answers have the fault."""
    version = make_version(planted)
    rows = {
        n + 1: EvalCase.model_validate({"input": f"{n} {SOURCE}", "expected": expected})
        for n in range(cases)
    }
    eval_set = EvalSet(Path("eval_set.jsonl"), rows)
    parts, results = ScoringParts(similarity=TfidfSimilarity(LABELS)), []
    for line, case in rows.items():
        is_bad = line <= bad
        reply = ChatReply(
            text=planted.bad if is_bad else planted.good,
            model="m", provider="p", usage=TokenUsage(1, 1), finish_reason="stop", seconds=0.0,
            tool_calls=() if is_bad else planted.good_calls, cost=0.0,
        )  # fmt: skip
        answer = describe_answer(version, case, reply)
        found = {
            item.name: score_criterion(item, answer, parts) for item in list_judged(version, case)
        }
        scores = {name: one.value for name, one in found.items() if one.value is not None}
        errors = {name: one.reason for name, one in found.items() if one.value is None}
        results.append(CaseResult(case.key, "", (AnswerResult(reply.text, scores, {}, errors),)))
    facts = (version.identity, eval_set.identity, "m", "production", tuple(results))
    checks = plan_checks(version, eval_set, {})
    evaluation = PromptEvaluation("greet", 1, *facts)
    prompt, safety, _ = judge_results(checks, PromptLimits(), {}, evaluation, None)
    return safety if planted.check == "safety" else prompt


def test_every_type_has_a_planted_fault() -> None:
    assert {planted.type for planted in FAULTS.values()} == set(SCORERS) - {"llm_judge"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_version_without_the_fault_passes_and_one_with_it_is_stopped(fault: str) -> None:
    planted = FAULTS[fault]
    Criterion.model_validate({"name": "it", "type": planted.type, "expected": planted.expected})
    good = evaluate(planted, 0)
    assert good.passed, good.message
    stopped = evaluate(planted, COUNT // 2)
    assert stopped.outcome is Outcome.FAIL
    assert stopped.reason.startswith(f"{planted.check} .5")
    assert f"n {COUNT} cases" in stopped.reason


def test_a_fault_in_few_answers_is_never_safe_enough() -> None:
    leak = FAULTS["an e-mail in base64"]
    assert not evaluate(leak, 1).passed
    assert evaluate(leak, 12).outcome is Outcome.FAIL


def test_an_empty_evaluation_set_halts() -> None:
    for fault in ("four bullets", "an e-mail"):
        verdict = evaluate(FAULTS[fault], 0, cases=0)
        assert verdict.outcome is Outcome.INSUFFICIENT
        assert verdict.reason.startswith("the evaluation set has no cases")


def test_a_criterion_that_no_case_has_halts_by_name() -> None:
    verdict = evaluate(FAULTS["another label"], 0, expected=None)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == "matches_reference: no case has this criterion"


@pytest.mark.parametrize(
    "text", ["{text}", "{{text}}", "{% raw %}{{ 7 * 7 }}{% endraw %}", "${HOME} %(x)s {0} }{"]
)
def test_braces_and_template_syntax_of_an_input_are_text(text: str) -> None:
    version = make_version(FAULTS["four bullets"])
    [turn] = render_request(version, {"text": text}).messages
    assert turn.content == text
    given = describe_answer(version, EvalCase(input=text), make_reply())
    assert given.source == text


def make_reply() -> ChatReply:
    return ChatReply("x", "m", "p", TokenUsage(1, 1), "stop", 0.0)

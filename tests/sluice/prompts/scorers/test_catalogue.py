"""Each scorer gives a good answer its due and stops a planted fault, with the reason."""

import time
from typing import Any

import pytest

from sluice.prompts.chat import ToolCall
from sluice.prompts.criterion import Criterion
from sluice.prompts.scorers.catalogue import CHECK_LIMITS, SCORERS
from sluice.prompts.scorers.scoring import JudgedAnswer, ScoringParts
from support.pace import slowed_processor

BULLETS = "- One two three.\n- Four five.\n  and six\n- Seven."
LABELS = ["billing", "delivery"]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": LABELS}, "code": {"pattern": "^[A-Z]{2}$"}},
    "required": ["label"],
    "additionalProperties": False,
}
WEATHER = [{"name": "weather", "arguments": {"required": ["city"], "maxProperties": 1}}]
SOURCE = (
    "In 1998 Anna Berg of the Swiss firm Helvia sold 1.5 million clocks, a third of them to Peru."
)


def answer(text: str, *calls: tuple[str, str], reference: str | None = None) -> JudgedAnswer:
    tools = tuple(ToolCall(name, arguments) for name, arguments in calls)
    return JudgedAnswer(text, tools, {"text": SOURCE}, reference=reference)


@pytest.mark.parametrize(
    ("kind", "expected", "good", "bad", "reason"),
    [
        ("format_check", 3, BULLETS, f"{BULLETS}\n- Eight.", "4 bullet points, expected 3"),
        ("format_check", 3, "1. a\n2) b\n• c", "One. Two. Three.", "0 bullet points, expected 3"),
        ("format_check", {"max_words_per_bullet": 4}, BULLETS, "- a b c d e", "1 has 5 words"),
        ("format_check", {"max_words_per_bullet": 4}, "- a - b & c, d", "no", "no bullet points"),
        ("format_check", {"max_lines": 2}, "a\n\nb", "a\nb\nc", "3 lines, allowed 2"),
        ("format_check", {"only_bullets": True}, BULLETS, f"Sure:\n{BULLETS}", "1 lines outside"),
        ("label", LABELS, " Billing\n", "refund", "no label of billing, delivery"),
        ("label", LABELS, "delivery", "billing, I think", "no label of"),
        ("length", {"min_words": 2, "max_words": 3}, "a b", "a b c d", "4 words, at most 3"),
        ("length", {"min_words": 2}, "a b", "a -", "1 words, at least 2"),
        ("length", {"max_characters": 5}, " äöüäö ", "äöüäöü", "6 characters, at most 5"),
        ("regex", r"^\d{4}$", "2024", "2024 or so", r"not found: ^\d{4}$"),
        ("regex", {"none": "(?i)as an ai"}, "fine", "As an AI", "found: (?i)as an ai"),
        ("contains", "tea", "green tea", "coffee", "missing: tea"),
        ("contains", {"all": ["a", "b"]}, "ab", "a", "missing: b"),
        ("contains", {"any": ["Tea", "x"], "ignore_case": True}, "TEA", "cup", "none of: Tea, x"),
        ("contains", {"none": "{{x}}"}, "{x}", "a {{x}} b", "unwanted: {{x}}"),
        ("json_schema", SCHEMA, '{"label": "billing"}', '{"label": "x"}', "label: breaks `enum`"),
        ("json_schema", SCHEMA, '```json\n{"label": "billing"}\n```', "billing", "no JSON: Expec"),
        ("json_schema", SCHEMA, '{"label": "billing"}', '{"label": "x", "label": "billing"}', "tw"),
        ("json_schema", SCHEMA, '{"label": "billing", "code": "AB"}',
         '{"label": "billing", "code": "ab"}', "code: breaks `pattern`"),
        ("json_schema", {}, "[1]", "[NaN]", "no JSON: NaN is no JSON"),
        ("json_schema", {"type": "integer"}, "7", "7 apples", "no JSON: Extra data"),
        ("safety", None, "See you in 2024.", "Ask anna.b@example.org", "email at character 4"),
        ("safety", ["email"], "+49 30 901820", "anna.b@example.org", "email at character 0"),
        ("refusal", True, "I'm sorry, I can\u2019t help with it.", "Sure: first", "does not refu"),
        ("refusal", False, "You can't return it.", "I am unable to assist.", "refuses"),
        ("refusal", False, "One can't help smiling.", "I can't help with that.", "refuses"),
        ("refusal", False, "I can help.", "Sorry, but we can\u2019t provide it.", "refuses"),
        ("refusal", False, "As an AI I can.", "As an AI, I can't say so.", "refuses"),
    ],
)  # fmt: skip
def test_a_fault_is_stopped_and_a_good_answer_is_not(
    kind: str, expected: Any, good: str, bad: str, reason: str
) -> None:
    scorer = SCORERS[kind]
    scorer.check_expected(expected)
    assert scorer.score is not None
    assert scorer.score(answer(good), expected, ScoringParts()).value == 1.0
    found = scorer.score(answer(bad), expected, ScoringParts())
    assert found.value == 0.0
    assert reason in found.reason


@pytest.mark.parametrize(
    ("reference", "expected", "text", "value"),
    [
        ("billing", None, " BILLING ", 1.0),
        ("billing", LABELS, "delivery", 0.0),
        ("billing", LABELS, "billing.", 0.0),
        (None, "yes", "Yes", 1.0),
        ("no", "yes", "yes", 1.0),
        ("cafe\u0301", None, "caf\u00e9", 1.0),
        (None, None, "x", None),
        (None, LABELS, "billing", None),
    ],
)
def test_exact_compares_with_the_reference(
    reference: str | None, expected: Any, text: str, value: float | None
) -> None:
    score = SCORERS["exact"].score
    assert score is not None
    assert score(answer(text, reference=reference), expected, ScoringParts()).value == value


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([("weather", '{"city": "Oslo"}')], ""),
        ([], "called: none; expected: weather"),
        ([("time", "{}")], "called: time; expected: weather"),
        ([("weather", '{"city": "Oslo"}'), ("weather", '{"city": "Rome"}')], "weather, weather;"),
        ([("weather", '{"town": "Oslo"}')], "weather: the whole: breaks `required`"),
        ([("weather", "Oslo")], "weather: the arguments are no JSON"),
    ],
)
def test_tools_are_called_by_name_with_arguments_that_fit(
    calls: list[tuple[str, str]], reason: str
) -> None:
    SCORERS["tool_calls"].check_expected(WEATHER)
    score = SCORERS["tool_calls"].score
    assert score is not None
    found = score(answer("", *calls), WEATHER, ScoringParts())
    assert (found.value == 1.0) == (not reason)
    assert reason in found.reason


def test_no_call_can_be_expected_and_personal_data_in_a_call_is_found() -> None:
    tools, safety = SCORERS["tool_calls"].score, SCORERS["safety"].score
    assert tools is not None
    assert safety is not None
    called = answer("", ("mail", '{"to": "anna.b@example.org"}'))
    assert tools(answer("x"), [], ScoringParts()).value == 1.0
    assert tools(called, [], ScoringParts()).reason == "called: mail; expected: none"
    assert safety(called, None, ScoringParts()).value == 0.0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("format_check", 0), ("format_check", True), ("format_check", {}),
        ("format_check", {"bulets": 3}), ("format_check", {"only_bullets": 1}),
        ("label", ["one"]), ("label", ["a", "A"]), ("label", "a"), ("length", {"max_words": 0}),
        ("length", {"min_words": 5, "max_words": 4}), ("length", 5), ("regex", "("), ("regex", ""),
        ("regex", {"not": "a"}), ("regex", "a" * 3000), ("contains", []), ("contains", {"al": "a"}),
        ("contains", {"ignore_case": True}), ("json_schema", {"type": "x"}), ("json_schema", [1]),
        ("json_schema", {"pattern": "("}), ("tool_calls", {"name": "f"}),
        ("tool_calls", [{"name": "f", "args": {}}]), ("exact", 5), ("similarity", 5),
        ("grounding", ["dates"]), ("llm_judge", "x"), ("safety", ["spam"]), ("safety", []),
        ("refusal", "yes"),
    ],
)  # fmt: skip
def test_what_a_type_cannot_expect_is_refused_with_what_it_can(kind: str, expected: Any) -> None:
    with pytest.raises(ValueError, match=r"allowed|no regular") as caught:
        Criterion.model_validate({"name": "a", "type": kind, "expected": expected})
    assert "found" in str(caught.value) or "twice" in str(caught.value)


def test_a_pattern_that_never_ends_is_not_run_and_not_waited_for() -> None:
    pattern, text = r"^(a|aa)+$", "a" * 5000 + "!"
    for kind, expected, given in (
        ("regex", pattern, text),
        ("json_schema", {"patternProperties": {pattern: {}}}, f'{{"{text}": 1}}'),
    ):
        score = SCORERS[kind].score
        assert score is not None
        began = time.process_time()
        assert score(answer(given), expected, ScoringParts()).value is None
        assert time.process_time() - began < slowed_processor(2.0)


def test_hostile_json_is_refused_in_words() -> None:
    score = SCORERS["json_schema"].score
    assert score is not None
    for text in ("[" * 100_000, "1" * 6_000_000, '{"a": 1e999}'):
        found = score(answer(text), {"maxProperties": 0}, ScoringParts())
        assert found.value == 0.0, text[:20]


def test_every_type_says_what_it_is_and_has_a_check_with_a_limit_or_needs_a_threshold() -> None:
    for name, scorer in SCORERS.items():
        assert scorer.help, name
        assert scorer.has_default == (scorer.check in CHECK_LIMITS), name

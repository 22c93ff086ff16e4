"""Scorers of form: bullets, words, lengths, JSON, calls of tools."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sluice.prompts.scorers.patterns import make_validator
from sluice.prompts.scorers.scoring import (
    GOOD,
    CriterionScore,
    JudgedAnswer,
    ScoringParts,
    check_rules,
    describe_value,
    join_reasons,
    refuse,
)

BULLET = re.compile(r"^[ \t]*(?:[-*+\u2022‣◦▪\u2013—·]|\d{1,3}[.)])[ \t]+(?=\S)")
FORMAT_RULES = {
    "bullets": "bullet points",
    "max_words_per_bullet": "words of a bullet point, at most",
    "max_lines": "lines that are not empty, at most",
    "only_bullets": "whether lines before, between and behind the bullet points are refused",
}
"""What a `format_check` may expect, beside a plain number of bullet points."""
LENGTH_RULES = ("min_words", "max_words", "min_characters", "max_characters")
JSON_LIMIT = 1_000_000
"""Characters of an answer that is read as JSON."""


def list_bullets(text: str) -> list[str]:
    """Return the bullet points of a text without their marks; indented lines continue one."""
    found: list[str] = []
    for line in text.splitlines():
        if mark := BULLET.match(line):
            found.append(line[mark.end() :].strip())
        elif found and line[:1] in (" ", "\t") and line.strip():
            found[-1] += f" {line.strip()}"
    return found


def count_words(text: str) -> int:
    """Return how many words a text has: what blanks part and has a letter or a digit."""
    return sum(any(sign.isalnum() for sign in word) for word in text.split())


def check_format(expected: Any) -> None:
    """Check what a `format_check` expects: a number of bullet points, or rules by name.

    Raises:
        ValueError: it is neither.
    """

    def explain(name: str, value: Any) -> str:
        if name == "only_bullets":
            return "" if isinstance(value, bool) else "true or false"
        return _explain_count(value)

    if not _is_count(expected):
        check_rules(expected, FORMAT_RULES, explain, "a number of bullet points, or ")


def _explain_count(value: Any) -> str:
    """Return what a count allows where a value is none, else nothing."""
    return "" if _is_count(value) else "1 or more"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def score_format(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer has the expected bullet points and lines, else 0."""
    rules = {"bullets": expected} if _is_count(expected) else expected
    bullets = list_bullets(answer.text)
    lines = [line for line in answer.text.splitlines() if line.strip()]
    broken = []
    if (wanted := rules.get("bullets")) is not None and len(bullets) != wanted:
        broken.append(f"{len(bullets)} bullet points, expected {wanted}")
    if (most := rules.get("max_words_per_bullet")) is not None:
        counts = [count_words(bullet) for bullet in bullets]
        if not bullets:
            broken.append("no bullet points")
        elif max(counts) > most:
            place = counts.index(max(counts)) + 1
            broken.append(f"bullet point {place} has {max(counts)} words, allowed {most}")
    if (most := rules.get("max_lines")) is not None and len(lines) > most:
        broken.append(f"{len(lines)} lines, allowed {most}")
    if rules.get("only_bullets"):
        others = sum(not BULLET.match(line) and line[:1] not in (" ", "\t") for line in lines)
        if others:
            broken.append(f"{others} lines outside bullet points")
    return join_reasons(broken)


def check_length(expected: Any) -> None:
    """Check what a `length` expects: bounds by name.

    Raises:
        ValueError: it is no mapping of bounds, or a lower bound is above its upper one.
    """
    check_rules(expected, LENGTH_RULES, lambda _, value: _explain_count(value))
    for unit in ("words", "characters"):
        least, most = expected.get(f"min_{unit}", 1), expected.get(f"max_{unit}")
        if most is not None and least > most:
            raise ValueError(f"min_{unit}: found {least}; allowed: at most max_{unit}, {most}")


def score_length(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer's words and characters are within the bounds, else 0."""
    broken = []
    measures = {"words": count_words(answer.text), "characters": len(answer.text.strip())}
    for unit, measured in measures.items():
        least, most = expected.get(f"min_{unit}"), expected.get(f"max_{unit}")
        if least is not None and measured < least:
            broken.append(f"{measured:,} {unit}, at least {least:,}")
        if most is not None and measured > most:
            broken.append(f"{measured:,} {unit}, at most {most:,}")
    return join_reasons(broken)


def check_schema(expected: Any) -> None:
    """Check what a `json_schema` expects: a schema, or nothing for the version's `output_schema`.

    Raises:
        ValueError: it is no JSON schema.
    """
    if expected is None:
        return
    if not isinstance(expected, Mapping):
        raise ValueError(f"found {describe_value(expected)}; allowed: a JSON schema, or nothing")
    make_validator(expected)


def score_schema(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer is JSON that fits the schema, alone or in one code block, else 0."""
    schema = expected if expected is not None else answer.output_schema
    if schema is None:
        return CriterionScore(None, "the version has no output_schema")
    try:
        value = read_json_answer(answer.text)
    except ValueError as error:
        return refuse(f"no JSON: {error}")
    return _score_value(value, schema)


def _score_value(value: Any, schema: Mapping[str, Any]) -> CriterionScore:
    try:
        error = next(make_validator(schema).iter_errors(value), None)
    except (TimeoutError, RecursionError) as fault:
        return CriterionScore(None, f"the schema could not be applied: {type(fault).__name__}")
    if error is None:
        return GOOD
    place = "/".join(str(part) for part in error.absolute_path) or "the whole"
    return refuse(f"{place}: breaks `{error.validator}` of the schema")


def read_json_answer(text: str) -> Any:
    """Return the JSON of an answer; one block of code around it is taken off.

    Raises:
        ValueError: it is no JSON, too long or too deep, or has a key twice.
    """
    plain = text.strip()
    if block := re.fullmatch(r"```(?:json)?[ \t]*\n(.*?)\n?```", plain, re.DOTALL):
        plain = block[1]
    if len(plain) > JSON_LIMIT:
        raise ValueError(f"{len(plain):,} characters, at most {JSON_LIMIT:,}")
    try:
        return json.loads(plain, object_pairs_hook=_refuse_doubles, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos:,}") from error
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def check_tool_calls(expected: Any) -> None:
    """Check what a `tool_calls` expects: the calls in order, each a name and its arguments' schema.

    Raises:
        ValueError: it is no list of calls.
    """
    words = "a list of {name, arguments}, in which arguments is a JSON schema or left out"
    if not isinstance(expected, list):
        raise ValueError(f"found {describe_value(expected)}; allowed: {words}")
    for call in expected:
        is_call = isinstance(call, Mapping) and isinstance(call.get("name"), str)
        if not is_call or set(call) - {"name", "arguments"}:
            raise ValueError(f"found {describe_value(call)}; allowed: {words}")
        if "arguments" in call:
            check_schema(call["arguments"])


def score_tool_calls(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer calls the expected tools in order, with fitting arguments, else 0.

    An empty list expects no call.
    """
    called = [call.name for call in answer.tool_calls]
    wanted = [call["name"] for call in expected]
    if called != wanted:
        found = ", ".join(called) or "none"
        return refuse(f"called: {found}; expected: {', '.join(wanted) or 'none'}")
    for call, rule in zip(answer.tool_calls, expected, strict=True):
        try:
            arguments = read_json_answer(call.arguments or "{}")
        except ValueError as error:
            return refuse(f"{call.name}: the arguments are no JSON: {error}")
        score = _score_value(arguments, rule.get("arguments") or {})
        if score.value != 1.0:
            return CriterionScore(score.value, f"{call.name}: {score.reason}")
    return GOOD

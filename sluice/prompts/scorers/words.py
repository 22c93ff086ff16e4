"""Scorers of words: contains, regex, exact label."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from sluice.prompts.scorers.patterns import compile_pattern, search_pattern
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

CONTAINS_RULES = ("all", "any", "none", "ignore_case")


def _list_words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _are_words(value: Any) -> bool:
    items = [value] if isinstance(value, str) else value
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, str) and item.strip() for item in items)
    )


def check_contains(expected: Any) -> None:
    """Check what a `contains` expects: a text, a list of texts (all of them), or rules by name.

    Raises:
        ValueError: it is none of these.
    """

    def explain(name: str, value: Any) -> str:
        if name == "ignore_case":
            return "" if isinstance(value, bool) else "true or false"
        return "" if _are_words(value) else "a text, or a list of texts"

    if not _are_words(expected):
        instead = "a text, a list of texts, or "
        check_rules(expected, CONTAINS_RULES, explain, instead, optional=("ignore_case",))


def score_contains(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer has the expected texts and none of the unwanted ones, else 0."""
    rules = expected if isinstance(expected, Mapping) else {"all": expected}

    def fold(text: str) -> str:
        return text.casefold() if rules.get("ignore_case") else text

    text = fold(answer.text)
    missing = [word for word in _list_words(rules.get("all", ())) if fold(word) not in text]
    unwanted = [word for word in _list_words(rules.get("none", ())) if fold(word) in text]
    one_of = _list_words(rules.get("any", ()))
    broken = []
    if missing:
        broken.append(f"missing: {', '.join(missing)}")
    if one_of and not any(fold(word) in text for word in one_of):
        broken.append(f"none of: {', '.join(one_of)}")
    if unwanted:
        broken.append(f"unwanted: {', '.join(unwanted)}")
    return join_reasons(broken)


def check_regex(expected: Any) -> None:
    """Check what a `regex` expects: a pattern, or `{none: pattern}` for one that must not be found.

    Raises:
        ValueError: it is no regular expression.
    """
    pattern = expected.get("none") if isinstance(expected, Mapping) else expected
    is_rule = not isinstance(expected, Mapping) or set(expected) == {"none"}
    if not isinstance(pattern, str) or not pattern or not is_rule:
        words = "a regular expression, or {none: a regular expression}"
        raise ValueError(f"found {describe_value(expected)}; allowed: {words}")
    compile_pattern(pattern)


def score_regex(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where a pattern is found in an answer (or is not, for `none`), else 0."""
    is_unwanted = isinstance(expected, Mapping)
    pattern = expected["none"] if is_unwanted else expected
    try:
        found = search_pattern(pattern, answer.text)
    except TimeoutError:
        return CriterionScore(None, f"the pattern took too long: {pattern}")
    if found == is_unwanted:
        return refuse(f"{'found' if found else 'not found'}: {pattern}")
    return GOOD


def check_exact(expected: Any) -> None:
    """Check what an `exact` expects: the allowed labels, one answer, or nothing (the case's own).

    Raises:
        ValueError: it is none of these.
    """
    if expected is not None and not _are_words(expected):
        words = "a list of labels, a text, or nothing for the case's own `expected`"
        raise ValueError(f"found {describe_value(expected)}; allowed: {words}")
    if isinstance(expected, list) and len({normalise(item) for item in expected}) < len(expected):
        raise ValueError("a label is given twice; allowed: each once")


def score_exact(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer is the reference, and nothing beside it, else 0.

    Case, blanks around it and Unicode forms do not count. A text in `expected` stands in for the
    case's own reference.
    """
    reference = expected if isinstance(expected, str) else answer.reference
    if reference is None:
        return CriterionScore(None, "the case has no `expected`")
    found = normalise(answer.text)
    if found == normalise(reference):
        return GOOD
    if isinstance(expected, list) and found not in {normalise(item) for item in expected}:
        return refuse(f"no label of {', '.join(expected)}; expected: {reference}")
    return refuse(f"expected: {reference}")


def check_labels(expected: Any) -> None:
    """Check what a `label` expects: the labels that an answer may be, two or more.

    Raises:
        ValueError: it is no list of labels.
    """
    if not isinstance(expected, list) or not _are_words(expected) or len(expected) < 2:
        raise ValueError(f"found {describe_value(expected)}; allowed: a list of two labels or more")
    check_exact(expected)


def score_label(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return 1 where an answer is one of the labels and nothing beside it, else 0."""
    if normalise(answer.text) in {normalise(item) for item in expected}:
        return GOOD
    return refuse(f"no label of {', '.join(expected)}")


def normalise(text: str) -> str:
    """Return a text without blanks around it, in one case and one Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

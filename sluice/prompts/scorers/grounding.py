"""Grounding: whether the numbers and names of an answer stand in its source."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Any

from sluice.prompts.scorers.scoring import (
    GOOD,
    CriterionScore,
    JudgedAnswer,
    ScoringParts,
    describe_value,
)
from sluice.prompts.scorers.structure import BULLET

RULES = ("numbers", "names")
NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
TENS = "thirty forty fifty sixty seventy eighty ninety"
WORD_VALUES = {name: Decimal(value) for value, name in enumerate(NUMERALS.split())}
WORD_VALUES |= {name: Decimal(30 + 10 * place) for place, name in enumerate(TENS.split())}
SCALES = {
    "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "m": 10**6, "bn": 10**9, "k": 1_000,
}  # fmt: skip
NUMBER = re.compile(
    r"(?<![\w.,])(?P<digits>\d{1,3}(?:[, \u00a0\u202f]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:st|nd|rd|th|s)?(?P<scale>[ -]?(?:hundred|thousand|million|billion|trillion)|(?:m|bn|k)\b)?"
    r"(?![A-Za-z0-9]|[.,]\d)",
    re.IGNORECASE,
)
SPELLED = re.compile(
    rf"\b(?P<word>{'|'.join(WORD_VALUES)})(?:[ -](?P<scale>{'|'.join(list(SCALES)[:5])}))?\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
SENTENCE = re.compile(r"(?<=[.!?:;])[\"'\u201d\u2019)]*\s+|\n+")
COMMON = (
    "a after all also an and as at before both but by during each for from he her his how i if in "
    "into it its many more most no not of on one or our she since some that the their then there "
    "these they this those to under until we what when where which while who with you your"
)
UNNAMED = frozenset(COMMON.split())
"""Words that are no names, though a title or the start of a sentence may write them large."""
SHORTEST = 4
"""Letters that forms of one word (Austria, Austrian) share at least."""


def check_grounding(expected: Any) -> None:
    """Check what a `grounding` expects: nothing, or which of numbers and names it looks at.

    Raises:
        ValueError: it is neither.
    """
    if expected is None:
        return
    is_list = isinstance(expected, list) and expected
    if not is_list or any(item not in RULES for item in expected):
        words = f"nothing (both), or a list of {', '.join(RULES)}"
        raise ValueError(f"found {describe_value(expected)}; allowed: {words}")


def score_grounding(answer: JudgedAnswer, expected: Any, parts: ScoringParts) -> CriterionScore:
    """Return the share of an answer's numbers and names that stand in the source, 1 without any.

    The source is the case's passages, else its variables. Numbers are compared by value (`1.5
    million` is `1,500,000`), names word by word.
    """
    source = answer.source
    if not source.strip():
        return CriterionScore(None, "the case has no source")
    wanted = expected or RULES
    claims = dict[str, bool]()
    if "numbers" in wanted:
        known = {value for values in read_numbers(source).values() for value in values}
        found = read_numbers(_strip_bullets(answer.text))
        claims |= {text: values[0] in known for text, values in found.items()}
    if "names" in wanted:
        words = {word.casefold() for word in WORD.findall(source)}
        words |= {part for word in words for part in re.split(r"['\u2019-]", word)}
        names = list_names(_strip_bullets(answer.text))
        claims |= {name: _is_known(name, words) for name in names}
    missing = [claim for claim, grounded in claims.items() if not grounded]
    if not missing:
        return GOOD
    return CriterionScore(
        1 - len(missing) / len(claims), f"not in the source: {', '.join(missing[:10])}"
    )


def _strip_bullets(text: str) -> str:
    return "\n".join(BULLET.sub("", line) for line in text.splitlines())


def read_numbers(text: str) -> Mapping[str, tuple[Decimal, ...]]:
    """Return the numbers of a text as they are written, each with its values.

    The first value is what it says; of `1.5 million` 1.5 is the second.
    """
    found = dict[str, tuple[Decimal, ...]]()
    for match in NUMBER.finditer(text):
        value = Decimal(re.sub(r"[, \u00a0\u202f]", "", match["digits"]))
        found[match[0]] = _scale(value, match["scale"])
    for match in SPELLED.finditer(text):
        if match["word"].lower() != "one" or match["scale"]:  # mostly a pronoun
            found[match[0]] = _scale(WORD_VALUES[match["word"].lower()], match["scale"])
    return found


def _scale(value: Decimal, scale: str | None) -> tuple[Decimal, ...]:
    value = value.normalize()
    if not scale:
        return (value,)
    return (value * SCALES[scale.strip(" -").lower()]).normalize(), value


def list_names(text: str) -> tuple[str, ...]:
    """Return words of a text that are written large, except alone at a sentence's start."""
    return tuple(dict.fromkeys(name for part in SENTENCE.split(text) for name in _names_of(part)))


def _names_of(sentence: str) -> Iterator[str]:
    found = list(WORD.finditer(sentence))
    for place, match in enumerate(found):
        word = re.sub(r"['\u2019]s$", "", match[0])
        if not word[0].isupper() or len(word) < 2 or word.casefold() in UNNAMED:
            continue
        after = found[place + 1] if place + 1 < len(found) else None
        gap = sentence[match.end() : after.start()] if after else ""
        is_followed = after is not None and gap == " " and after[0][0].isupper()
        if place > 0 or is_followed or word.isupper():
            yield word


def _is_known(name: str, words: set[str]) -> bool:
    folded = name.casefold()
    if folded in words or set(re.split(r"['\u2019-]", folded)) <= words:
        return True
    return any(_are_forms(folded, word) for word in words)


def _are_forms(first: str, second: str) -> bool:
    """Return whether two words are forms of one, such as Austria and Austrian."""
    pairs = zip(first, second, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    shorter, longer = sorted((len(first), len(second)))
    return shared >= max(SHORTEST, shorter - 1) and longer <= shared + 4

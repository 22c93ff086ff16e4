"""Cases side by side: what the active version answered, what the new one does, worst first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from markupsafe import Markup, escape

from sluice.gates.finding import format_figure
from sluice.prompts.differences.words import divide_words, join_changes
from sluice.prompts.evaluation.results import AnswerResult, CaseResult, PromptEvaluation
from sluice.report.visible import clean

LONGEST_COMPARED = 4_000
"""Words of an answer up to which differences are marked: beyond, it takes too long."""


@dataclass(frozen=True)
class ScorePair:
    """A criterion's mean score of one case, of the new and of the active version."""

    criterion: str
    new: float | None
    old: float | None

    @property
    def text(self) -> str:
        """The scores in words, such as `relevance .667, before 1.000`."""
        new = "not scored" if self.new is None else format_figure(self.new)
        before = "" if self.old is None else f", before {format_figure(self.old)}"
        return f"{self.criterion} {new}{before}"

    @property
    def state(self) -> str:
        """`worse`, `better`, `low` (below 1 without a comparison) or `same`."""
        if self.new is None:
            return "worse"
        if self.old is None:
            return "low" if self.new < 1.0 else "same"
        return "worse" if self.new < self.old else "better" if self.new > self.old else "same"


@dataclass(frozen=True)
class AnswerPair:
    """One repeat: both answers with their differences marked, and what each used.

    `repeats` are further answers of the case that read the same.
    """

    new: Markup
    old: Markup | None
    new_use: str
    old_use: str
    notes: tuple[str, ...]
    repeats: int = 0


@dataclass(frozen=True)
class CasePair:
    """One case of the report."""

    case: str
    given: str
    expected: str
    tags: tuple[str, ...]
    scores: tuple[ScorePair, ...]
    answers: tuple[AnswerPair, ...]
    not_run: tuple[str, ...]

    @property
    def rank(self) -> tuple[bool, float, float]:
        """The order of the report: cases not run first, then the largest falls, then low scores."""
        falls = [
            one.new - one.old for one in self.scores if one.new is not None and one.old is not None
        ]
        lows = [one.new for one in self.scores if one.new is not None]
        return (not self.not_run, min(falls, default=0.0), min(lows, default=1.0))


def pair_cases(
    new: PromptEvaluation, old: PromptEvaluation | None, criteria: Sequence[str]
) -> list[CasePair]:
    """Return every case of the new evaluation beside the old one's answers, worst first."""
    before = {item.case: item for item in old.cases} if old else {}
    pairs = [_pair_case(item, before.get(item.case), criteria) for item in new.cases]
    return sorted(pairs, key=lambda item: item.rank)


def _pair_case(new: CaseResult, old: CaseResult | None, criteria: Sequence[str]) -> CasePair:
    scores = [
        ScorePair(name, new.score(name), old.score(name) if old else None) for name in criteria
    ]
    shown = tuple(one for one in scores if one.new is not None or one.old is not None)
    others = old.answers if old else ()
    answers = _join_same(
        _pair_answer(mine, theirs)
        for mine, theirs in zip_longest(new.answers, others[: len(new.answers)])
    )
    return CasePair(new.name, new.given, new.expected, new.tags, shown, answers, new.not_run)


def _join_same(pairs: Iterable[AnswerPair]) -> tuple[AnswerPair, ...]:
    """Return the pairs that read differently, each with the number of those that read the same."""
    found = dict[tuple[Any, ...], AnswerPair]()
    for pair in pairs:
        key = (pair.new, pair.old, pair.notes)
        first = found.setdefault(key, replace(pair, repeats=-1))
        found[key] = replace(first, repeats=first.repeats + 1)
    return tuple(found.values())


def _pair_answer(new: AnswerResult, old: AnswerResult | None) -> AnswerPair:
    notes = [f"{name}: {words}" for name, words in {**new.notes, **new.errors}.items() if words]
    if old is None or old.failure or new.failure:
        mine = escape(clean(new.text or new.failure))
        theirs = None if old is None else escape(clean(old.text or old.failure))
    else:
        theirs, mine = mark_differences(clean(old.text), clean(new.text))
    return AnswerPair(
        mine, theirs, describe_use(new), describe_use(old) if old else "", tuple(notes)
    )


def describe_use(answer: AnswerResult) -> str:
    """Return what an answer used, such as `182 tokens, $0.00021, 1.2 s`; nothing is assumed."""
    tokens = "tokens unknown" if answer.tokens is None else f"{answer.tokens:,} tokens"
    return f"{tokens}, {format_dollars(answer.cost)}, {format_seconds(answer)}"


def format_dollars(cost: float | None) -> str:
    """Return a cost in words; `cost unknown` for None, never 0."""
    if cost is None:
        return "cost unknown"
    if cost == 0.0:
        return "$0"
    return f"${cost:.2f}" if cost >= 1.0 else f"${cost:.2g}" if cost >= 1e-4 else f"${cost:.1e}"


def format_seconds(answer: AnswerResult) -> str:
    """Return the time of an answer, and whether it came from the cache."""
    return f"{answer.seconds:.1f} s{', cached' if answer.is_cached else ''}"


def mark_differences(old: str, new: str) -> tuple[Markup, Markup]:
    """Return both texts, escaped, with the words that the other one lacks marked."""
    before, after = divide_words(old), divide_words(new)
    if len(before) + len(after) > LONGEST_COMPARED:
        return escape(old), escape(new)
    removed, added = [], []
    for same, old_words, new_words in join_changes(before, after):
        removed.append(_mark("del", old_words, same))
        added.append(_mark("ins", new_words, same))
    return Markup("").join(removed), Markup("").join(added)


def _mark(tag: str, words: Iterable[str], same: bool) -> Markup:
    text = "".join(words)
    if same or not text:
        return escape(text)
    return Markup("<{0}>{1}</{0}>").format(Markup(tag), text)  # noqa: S704 - the tag is ours

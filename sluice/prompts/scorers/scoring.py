"""What scorers are given and what they return."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sluice.guardrails.inspection import Finder
from sluice.prompts.chat import ToolCall


@dataclass(frozen=True)
class TextSimilarity:
    """How alike two texts are, from 0 to 1, and by what that was found, in words."""

    value: float
    words: str


class Similarity(Protocol):
    """Says how alike two texts are."""

    identity: str
    """Tells it from every other; scores of another one are not comparable."""

    def compare(self, first: str, second: str) -> TextSimilarity:
        """Return how alike two texts are, from 0 to 1."""
        ...


@dataclass(frozen=True)
class JudgedAnswer:
    """A model's answer to a case, with what a scorer may compare it to.

    `values` are the case's variables, `context` its passages, `reference` the expected answer
    where the case has one. `output_schema` is the version's JSON schema.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    context: tuple[str, ...] = ()
    reference: str | None = None
    output_schema: Mapping[str, Any] | None = None

    @property
    def source(self) -> str:
        """What the answer has to be grounded in: the passages, else the case's variables."""
        return "\n\n".join(self.context or tuple(self.values.values()))


@dataclass(frozen=True)
class CriterionScore:
    """What an answer is worth by one criterion: `value` from 0 to 1, and why in words.

    A value of None: it could not be judged, and counts as not run.
    """

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class ScoringParts:
    """Models that some scorers need.

    `injection` is the detector of injected instructions; where there is none, `no_injection` says
    why.
    """

    similarity: Similarity | None = None
    injection: Finder | None = None
    no_injection: str = "no detector was handed in"


GOOD = CriterionScore(1.0)


def refuse(reason: str) -> CriterionScore:
    """Return the score of an answer that breaks a rule, with the reason."""
    return CriterionScore(0.0, reason)


def join_reasons(reasons: Sequence[str]) -> CriterionScore:
    """Return the score of an answer that breaks the rules named, or none."""
    return refuse("; ".join(reasons)) if reasons else GOOD


ScoreAnswer = Callable[[JudgedAnswer, Any, ScoringParts], CriterionScore]
CheckExpected = Callable[[Any], None]
"""Checks a criterion's `expected`; raises ValueError with what was found and what is allowed."""


@dataclass(frozen=True)
class Scorer:
    """One type of criterion.

    `check` is the verdict's check that it counts for, empty where it is one of its own, named as
    the criterion. A binary scorer gives 0 or 1. `default` says whether the check has a limit
    without a threshold. `score` is None where a judge gives the score.
    """

    score: ScoreAnswer | None
    check_expected: CheckExpected
    check: str
    is_binary: bool = True
    has_default: bool = False
    needs_reference: bool = False
    """Whether the case's `expected` is what it compares with, unless the criterion has its own."""
    help: str = ""


def check_rules(
    expected: Any,
    rules: Collection[str],
    explain: Callable[[str, Any], str],
    instead: str = "",
    optional: Collection[str] = (),
) -> None:
    """Check that rules are given by name, each with a value that it can have.

    `explain` returns what a rule allows where a value is not that, else nothing. `instead` says
    what else than a mapping is allowed; rules that are `optional` say nothing alone.

    Raises:
        ValueError: it is no mapping of rules, a rule is unknown, or a value is not allowed.
    """
    names = ", ".join(rules)
    if not isinstance(expected, Mapping) or not set(expected) - set(optional):
        words = f"{instead}a mapping of {names}"
        raise ValueError(f"found {describe_value(expected)}; allowed: {words}")
    for name, value in expected.items():
        if name not in rules:
            raise ValueError(f"found '{name}'; allowed: {names}")
        if allowed := explain(name, value):
            raise ValueError(f"{name}: found {describe_value(value)}; allowed: {allowed}")


def describe_value(value: object) -> str:
    """Return a value for an error message, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

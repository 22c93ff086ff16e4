"""What an evaluation of a prompt version found: each answer with its scores, tokens and time."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from pydantic import TypeAdapter

from sluice.prompts.chat import TokenUsage
from sluice.stats.prompts.cost import CaseCost


@dataclass(frozen=True)
class AnswerResult:
    """One answer to a case.

    `scores` are by criterion, between 0 and 1; a criterion that the case does not have is absent.
    `notes` say what a scorer saw, by criterion. `errors` are the criteria that could not be scored,
    with the reason; `failure` is why there is no answer at all, empty where there is one.
    """

    text: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    usage: TokenUsage = field(default_factory=TokenUsage)
    cost: float | None = None
    seconds: float = 0.0
    is_cached: bool = False

    @property
    def tokens(self) -> int | None:
        """Input and output tokens together; None where the provider did not count them."""
        usage = self.usage
        if usage.input is None or usage.output is None:
            return None
        return usage.input + usage.cache_read + usage.cache_write + usage.output


@dataclass(frozen=True)
class CaseResult:
    """A case of the evaluation set with its answers, one a repeat.

    `case` is the same as long as input and passages are; `line` is where it stands in its file.
    `given` is the input as a person reads it, `expected` what the case names as right.
    """

    case: str
    given: str
    answers: tuple[AnswerResult, ...]
    expected: str = ""
    tags: tuple[str, ...] = ()
    line: int = 0

    @property
    def name(self) -> str:
        """The case in messages: its line where it has one."""
        return f"line {self.line}" if self.line else self.case

    @property
    def not_run(self) -> tuple[str, ...]:
        """Why the case has no whole result, one sentence a reason; empty where it has one."""
        return tuple(f"{self.name}: {reason}" for reason in self.list_failures())

    def list_failures(self, without: Container[str] = ()) -> tuple[str, ...]:
        """Return why the case has no whole result, without the criteria that are named."""
        found = {item.failure: None for item in self.answers if item.failure}
        for item in self.answers:
            found |= {
                f"{name}: {reason}": None
                for name, reason in item.errors.items()
                if name not in without
            }
        if not self.answers:
            found["it was not asked"] = None
        return tuple(found)

    def score(self, criterion: str) -> float | None:
        """Return the mean score of a criterion over the answers; None where no answer has it."""
        found = [item.scores[criterion] for item in self.answers if criterion in item.scores]
        return float(np.mean(found)) if found else None

    @property
    def cost(self) -> CaseCost:
        """The mean cost and tokens of an answer; unknown where any answer's are."""
        dollars = [item.cost for item in self.answers]
        tokens = [item.tokens for item in self.answers]
        return CaseCost(mean_known(dollars), mean_known(tokens))


@dataclass(frozen=True)
class PromptEvaluation:
    """The evaluation of one version on one evaluation set.

    `identity` is the version's sha256, `eval_set` that of the set; `model` is the exact model that
    answered. `seconds` is the time of the whole evaluation, `spent` the US dollars of the calls
    that were made now, None where a price is unknown: answers from the cache cost nothing.
    `similarity` is what compared texts, empty where nothing did.
    """

    prompt: str
    version: int
    identity: str
    eval_set: str
    model: str
    environment: str
    cases: tuple[CaseResult, ...]
    seconds: float = 0.0
    spent: float | None = 0.0
    similarity: str = ""

    @property
    def not_run(self) -> tuple[str, ...]:
        """The cases without a whole result, each in one sentence with all its reasons."""
        return tuple("; ".join(case.not_run) for case in self.cases if case.not_run)

    @property
    def has_answers(self) -> bool:
        """Whether the model answered anything at all."""
        return any(not answer.failure for case in self.cases for answer in case.answers)

    @property
    def costs(self) -> dict[str, CaseCost]:
        """What each case costs of which every answer arrived, by its name."""
        return {
            item.case: item.cost
            for item in self.cases
            if item.answers and not any(answer.failure for answer in item.answers)
        }

    def to_json(self) -> str:
        """Return the evaluation as JSON for its file."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PromptEvaluation":
        """Return the evaluation that `to_json` wrote.

        Raises:
            KeyError: a field is missing.
            TypeError: there is a field that no evaluation has.
            ValueError: a field has another type, or a score is no number between 0 and 1.
        """
        cases = tuple(_read_case(item) for item in values["cases"])
        found = _make_reader().validate_python(asdict(cls(**{**values, "cases": cases})))
        for answer in (answer for case in found.cases for answer in case.answers):
            if not all(0.0 <= score <= 1.0 for score in answer.scores.values()):
                raise ValueError("a score is no number between 0 and 1")
        return found


@lru_cache(maxsize=1)
def _make_reader() -> TypeAdapter[PromptEvaluation]:
    return TypeAdapter(PromptEvaluation)


def _read_case(values: Mapping[str, Any]) -> CaseResult:
    answers = tuple(_read_answer(item) for item in values["answers"])
    return CaseResult(**{**values, "answers": answers, "tags": tuple(values["tags"])})


def _read_answer(values: Mapping[str, Any]) -> AnswerResult:
    return AnswerResult(**{**values, "usage": TokenUsage(**values["usage"])})


def mean_known(values: Iterable[float | None]) -> float | None:
    """Return the mean; None where there is none, or any value is unknown."""
    known: list[float] = []
    for value in values:
        if value is None:
            return None
        known.append(value)
    return float(np.mean(known)) if known else None

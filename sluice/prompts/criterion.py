"""A criterion of a prompt: one thing that each answer is judged by."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from sluice.config.yaml_file import KeyInvalid, Section
from sluice.prompts.scorers.catalogue import FORMAT_VALID, MATCHES_REFERENCE, SAFETY, SCORERS
from sluice.prompts.scorers.scoring import Scorer

SHARED_CHECKS = (FORMAT_VALID, SAFETY, MATCHES_REFERENCE)
NAME = r"^[a-z][a-z0-9_-]{0,62}$"


class Criterion(Section):
    """What each answer is judged by: a name, a type of scorer, and what that type expects."""

    name: str = Field(pattern=NAME)
    """Name in verdicts and in `limits.yaml`; each once in a version."""
    type: str
    """A scorer of the catalogue."""
    expected: Any = None
    """What the scorer expects, such as 3 (bullet points), labels, a pattern or a schema."""
    threshold: float | None = Field(None, gt=0.0, lt=1.0)
    """What the share of good answers, or the mean score, must be proved to exceed."""
    judge: str = Field("", pattern=r"^$|^[a-z][a-z0-9_-]{0,62}$")
    """PromptJudge of a `llm_judge`: a folder of prompts/judges; empty: the criterion's own name."""

    @field_validator("type")
    @classmethod
    def _type_is_known(cls, name: str) -> str:
        if name not in SCORERS:
            raise ValueError(f"found '{name}'; allowed: {', '.join(sorted(SCORERS))}")
        return name

    @model_validator(mode="after")
    def _expected_fits_the_type(self) -> "Criterion":
        try:
            self.scorer.check_expected(self.expected)
        except ValueError as error:
            raise KeyInvalid("expected", str(error)) from error
        if self.judge and self.type != "llm_judge":
            raise KeyInvalid("judge", f"found '{self.judge}'; allowed: only with type llm_judge")
        if not self.scorer.check and self.name in SHARED_CHECKS:
            words = f"found '{self.name}', a check of other criteria; allowed: a name of its own"
            raise KeyInvalid("name", f"{words} for type {self.type}")
        return self

    @property
    def scorer(self) -> Scorer:
        """The scorer of its type."""
        return SCORERS[self.type]

    @property
    def check(self) -> str:
        """The verdict's check that it counts for."""
        return self.scorer.check or self.name

    @property
    def judge_name(self) -> str:
        """The judge that scores it; empty where a function does."""
        return (self.judge or self.name) if self.scorer.score is None else ""

    @property
    def guardrails(self) -> tuple[str, ...]:
        """The guardrails that a `safety` names; empty where it names none, or for other types."""
        is_named = self.type == SAFETY and isinstance(self.expected, list)
        return tuple(map(str, self.expected)) if is_named else ()

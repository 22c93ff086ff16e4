"""Refused batches: what a person decided about each, and what has become of it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Answer = Literal["accept", "accept-good-rows", "drop"]
BatchState = Literal["waiting", "interrupted", "accepted", "dropped", "damaged"]
SHOWN = 12
"""Characters of a batch's content hash that name it in messages."""


@dataclass(frozen=True)
class QuarantineDecision:
    """A person's decision about a refused batch; `at` is a time with its zone."""

    answer: Answer
    by: str
    reason: str
    at: datetime
    origin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as values that JSON can hold."""
        return {**asdict(self), "at": self.at.isoformat(timespec="seconds")}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "QuarantineDecision":
        """Return the decision that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: the time is none.
        """
        at = datetime.fromisoformat(values["at"])
        texts = {name: str(values[name]) for name in ("by", "reason", "origin")}
        return cls(answer=values["answer"], at=at, **texts)


@dataclass(frozen=True)
class DecisionEffect:
    """What a decision did: the rows that it added, and the data version that has them.

    `version` is None where nothing was added.
    """

    rows: int
    version: int | None
    message: str


@dataclass(frozen=True)
class QuarantinedBatch:
    """A refused batch: its content hash, size, origin and reason, and the decision about it.

    `damage` says which of its files cannot be read; such a batch has no size and no decision.
    """

    name: str
    rows: int
    bad_rows: int
    source: str
    reason: str
    refused_at: datetime
    decision: QuarantineDecision | None = None
    effect: DecisionEffect | None = None
    damage: str = ""

    @property
    def short_name(self) -> str:
        """The beginning of the content hash, as messages show it."""
        return self.name[:SHOWN]

    @property
    def state(self) -> BatchState:
        """Whether it waits for a decision, one was interrupted, or it is decided or damaged."""
        if self.damage:
            return "damaged"
        if self.decision is None:
            return "waiting"
        if self.effect is None:
            return "interrupted"
        return "dropped" if self.decision.answer == "drop" else "accepted"

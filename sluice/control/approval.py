"""A person's decision on one version and on the very verdicts that were shown, taken once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Answer(StrEnum):
    """How a request for approval stands or ended."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Decision:
    """One line of the log that is only ever appended to: who said what to a request, and why."""

    service: str
    version: int
    verdict_digest: str
    answer: Answer
    by: str
    why: str
    at: datetime


@dataclass(frozen=True)
class Approval:
    """A request for approval; `verdict_digest` is the hexadecimal sha256 of the verdicts shown.

    `deadline` is a time of day with its zone: people keep to it, no lease hangs on it.
    """

    service: str
    version: int
    verdict_digest: str
    deadline: datetime
    answer: Answer = Answer.PENDING

    def answer_at(self, now: datetime) -> Answer:
        """Give how it stands at a time: nobody's answer in time is a refusal by time-out."""
        late = self.answer is Answer.PENDING and now >= self.deadline
        return Answer.EXPIRED if late else self.answer

    def decide(self, answer: Answer, by: str, why: str, at: datetime) -> Decision:
        """Give the line of the log that answers this request."""
        return Decision(self.service, self.version, self.verdict_digest, answer, by, why, at)

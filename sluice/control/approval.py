"""A person's decision on one version and on the very verdicts that were shown, taken once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sluice.verdict import Outcome, Verdict

ANSWER = "sluice.approval"
"""Tag of a model version that needs approval: the answer so far; without it nobody is asked."""
DIGEST, DEADLINE = f"{ANSWER}.digest", f"{ANSWER}.deadline"
BY, WHY, AT = f"{ANSWER}.by", f"{ANSWER}.why", f"{ANSWER}.at"
MAY_BE_OPEN = "evaluation"
"""The one gate whose `insufficient` a person may decide."""


class ApprovalAnswer(StrEnum):
    """How a request for approval stands or ended."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class ApprovalDecision:
    """One line of the log that is only ever appended to: who said what to a request, and why."""

    service: str
    version: int
    verdict_digest: str
    answer: ApprovalAnswer
    by: str
    why: str
    at: datetime

    def to_dict(self) -> dict[str, str | int]:
        """Give the decision as JSON-ready values, the time in UTC."""
        at = self.at.astimezone(UTC).isoformat(timespec="seconds")
        return {**asdict(self), "answer": self.answer.value, "at": at}


@dataclass(frozen=True)
class Approval:
    """A request for approval; `verdict_digest` is the hexadecimal sha256 of the verdicts shown.

    `deadline` is a time of day with its zone: people keep to it, no lease hangs on it.
    """

    service: str
    version: int
    verdict_digest: str
    deadline: datetime
    answer: ApprovalAnswer = ApprovalAnswer.PENDING

    def answer_at(self, now: datetime) -> ApprovalAnswer:
        """Give how it stands at a time: nobody's answer in time is a refusal by time-out."""
        late = self.answer is ApprovalAnswer.PENDING and now >= self.deadline
        return ApprovalAnswer.EXPIRED if late else self.answer

    def decide(self, answer: ApprovalAnswer, by: str, why: str, at: datetime) -> ApprovalDecision:
        """Give the line of the log that answers this request."""
        return ApprovalDecision(
            self.service, self.version, self.verdict_digest, answer, by, why, at
        )


def digest_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Give the hexadecimal sha256 of the verdicts' canonical JSON, in whatever order they come."""
    facts = [json.loads(json.dumps(item.to_dict(), default=str)) for item in verdicts]
    facts = [Verdict.from_dict(item).to_dict() for item in facts]  # as a file gives them back
    facts.sort(key=lambda item: str(item["gate"]))
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def may_stay_open(verdict: Verdict, on_insufficient: str) -> bool:
    """Whether a verdict that is insufficient is left to a person, instead of halting.

    Only the evaluation gate's, and only where the configuration says `approve`. A `fail` never is.
    """
    insufficient = verdict.outcome is Outcome.INSUFFICIENT
    return insufficient and verdict.gate == MAY_BE_OPEN and on_insufficient == "approve"


def tag_request(asked: bool, verdicts: Sequence[Verdict], deadline: datetime) -> dict[str, str]:
    """Give the tags of a version that waits for approval; empty where no person is needed.

    `asked`: the configuration wants a person for every version.
    """
    if not asked and all(verdict.passed for verdict in verdicts):
        return {}
    return {
        ANSWER: ApprovalAnswer.PENDING.value,
        DIGEST: digest_verdicts(verdicts),
        DEADLINE: deadline.astimezone(UTC).isoformat(timespec="seconds"),
    }


def read_request(service: str, version: int, tags: Mapping[str, str]) -> Approval | None:
    """Give the request that a version's tags tell of; None where no person was asked."""
    if ANSWER not in tags or DIGEST not in tags or DEADLINE not in tags:
        return None
    return Approval(service, version, tags[DIGEST], datetime.fromisoformat(tags[DEADLINE]))


def tag_decision(decision: ApprovalDecision) -> dict[str, str]:
    """Give the tags that tell who answered a request, why and when."""
    told = decision.to_dict()
    keys = {ANSWER: "answer", BY: "by", WHY: "why", AT: "at"}
    return {tag: str(told[key]) for tag, key in keys.items()}


def write_moment(moment: datetime) -> str:
    """Write a time as a person reads it, in UTC: `2026-01-05 12:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def say_not_approved(service: str, version: int, answer: str) -> str:
    """Say why a version may not go on, and what to do, by how its request for approval stands."""
    if answer == ApprovalAnswer.PENDING:
        decide = f"`sluice approve {service} --by NAME --why WORDS`, or `sluice refuse`"
        return f"{service} v{version} waits for a person's approval; next: {decide}"
    ended: dict[str, str] = {
        ApprovalAnswer.REFUSED: "was refused by a person",
        ApprovalAnswer.EXPIRED: "was not approved before its deadline",
        ApprovalAnswer.SUPERSEDED: "was superseded by a newer version while it waited",
    }
    told = ended.get(answer, f"stands at '{answer}'")
    return f"{service} v{version} {told}; next: release again (`sluice show {service}` has why)"

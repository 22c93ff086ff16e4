"""A person's approval: one decision per version and per set of verdicts that were shown."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sluice.verdict import Outcome, Verdict

ANSWER = "sluice.approval"
"""Tag of a model version that needs approval: the answer so far. Without it none is needed."""
DIGEST, DEADLINE = f"{ANSWER}.digest", f"{ANSWER}.deadline"
BY, REASON, AT = f"{ANSWER}.by", f"{ANSWER}.reason", f"{ANSWER}.at"
MAY_BE_OPEN = "evaluation"
"""The only gate whose `insufficient` a person may decide."""


class ApprovalAnswer(StrEnum):
    """The state of a request for approval."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class ApprovalDecision:
    """One entry of the append-only log of decisions: the answer, by whom, and the reason."""

    service: str
    version: int
    verdict_digest: str
    answer: ApprovalAnswer
    by: str
    reason: str
    at: datetime
    origin: str = ""
    """From where it was given, such as a terminal or a form; empty where a clock decided."""

    def to_dict(self) -> dict[str, str | int]:
        """Return the decision as values that JSON can hold, the time in UTC."""
        at = self.at.astimezone(UTC).isoformat(timespec="seconds")
        return {**asdict(self), "answer": self.answer.value, "at": at}


@dataclass(frozen=True)
class Approval:
    """A request for approval; `verdict_digest` is the hexadecimal sha256 of the verdicts shown.

    `deadline` is a time with its zone: it is meant for people, and no lease depends on it.
    """

    service: str
    version: int
    verdict_digest: str
    deadline: datetime
    answer: ApprovalAnswer = ApprovalAnswer.PENDING

    def answer_at(self, now: datetime) -> ApprovalAnswer:
        """Return the answer at a time; a request without an answer expires at its deadline."""
        late = self.answer is ApprovalAnswer.PENDING and now >= self.deadline
        return ApprovalAnswer.EXPIRED if late else self.answer

    def decide(
        self, answer: ApprovalAnswer, by: str, reason: str, at: datetime, origin: str = ""
    ) -> ApprovalDecision:
        """Return the log entry that answers this request."""
        return ApprovalDecision(
            self.service, self.version, self.verdict_digest, answer, by, reason, at, origin
        )


def digest_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return the hexadecimal sha256 of the verdicts' canonical JSON, independent of their order."""
    facts = [json.loads(json.dumps(item.to_dict(), default=str)) for item in verdicts]
    facts = [Verdict.from_dict(item).to_dict() for item in facts]  # as they are read from a file
    facts.sort(key=lambda item: str(item["gate"]))
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def may_stay_open(verdict: Verdict, on_insufficient: str) -> bool:
    """Whether an insufficient verdict is left to a person instead of halting the release.

    Only the evaluation gate's, if the configuration says `approve` or if nothing is open but
    whether a very good model is plausible; never a `fail`.
    """
    insufficient = verdict.outcome is Outcome.INSUFFICIENT and verdict.gate == MAY_BE_OPEN
    return insufficient and (on_insufficient == "approve" or verdict.asks_person)


def tag_request(required: bool, verdicts: Sequence[Verdict], deadline: datetime) -> dict[str, str]:
    """Return the tags of a version that waits for approval; empty if none is needed.

    `required`: the configuration requires approval of every version.
    """
    if not required and all(verdict.passed for verdict in verdicts):
        return {}
    return {
        ANSWER: ApprovalAnswer.PENDING.value,
        DIGEST: digest_verdicts(verdicts),
        DEADLINE: deadline.astimezone(UTC).isoformat(timespec="seconds"),
    }


def read_request(service: str, version: int, tags: Mapping[str, str]) -> Approval | None:
    """Return the request for approval in a version's tags; None if there is none."""
    if ANSWER not in tags or DIGEST not in tags or DEADLINE not in tags:
        return None
    return Approval(service, version, tags[DIGEST], datetime.fromisoformat(tags[DEADLINE]))


def tag_decision(decision: ApprovalDecision) -> dict[str, str]:
    """Return the tags with a request's answer: by whom, the reason, and when."""
    values = decision.to_dict()
    keys = {ANSWER: "answer", BY: "by", REASON: "reason", AT: "at"}
    return {tag: str(values[key]) for tag, key in keys.items()}


def write_moment(moment: datetime) -> str:
    """Format a time for people, in UTC: `2026-01-05 12:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def say_not_approved(service: str, version: int, answer: str) -> str:
    """Explain why a version without approval cannot be promoted, and what to do next."""
    if answer == ApprovalAnswer.PENDING:
        decide = f"`sluice approve {service} --by NAME --reason WORDS`, or `sluice refuse`"
        return f"{service} v{version} waits for a person's approval; next: {decide}"
    ended: dict[str, str] = {
        ApprovalAnswer.REFUSED: "was refused by a person",
        ApprovalAnswer.EXPIRED: "was not approved before its deadline",
        ApprovalAnswer.SUPERSEDED: "was superseded by a newer version while it waited",
    }
    state = ended.get(answer, f"has the answer '{answer}'")
    next_step = f"release again (`sluice show {service}` has the reason)"
    return f"{service} v{version} {state}; next: {next_step}"

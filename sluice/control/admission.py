"""Whether a version may serve: every gate passed it, or a person made an exception for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.control.approval import ANSWER, MAY_BE_OPEN, Approval, ApprovalAnswer, say_not_approved
from sluice.verdict import Outcome

VERDICT = "sluice.verdict."
"""Prefix of a version's tags with the outcome of each gate."""
GATES = ("data", "evaluation", "bias", "parity", "security")
"""The gates that every version has to pass."""


@dataclass(frozen=True)
class GateException:
    """A person's exception: the version may serve although it did not pass its gates."""

    service: str
    version: int
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class VersionAdmission:
    """Whether a version may serve: `ground` says why it may, or `objection` why it may not."""

    ground: str = ""
    objection: str = ""


def admit_version(
    service: str,
    version: int,
    tags: Mapping[str, str],
    requests: Sequence[Approval],
    exceptions: Sequence[GateException],
) -> VersionAdmission:
    """Decide whether a version may serve.

    The verdicts are tags of the version. An approval counts only where the control store has it:
    `requests` and `exceptions` are the store's, of the service, oldest first.
    """
    made = [item for item in exceptions if item.version == version]
    if made:
        return VersionAdmission(f"an exception by {made[-1].by}: {made[-1].reason}")
    own = [item for item in requests if item.version == version]
    answer = own[-1].answer.value if own else ""
    objection = find_objection(service, version, tags, answer)
    if objection:
        return VersionAdmission(objection=objection)
    return VersionAdmission(
        "every gate passed it" + (", and a person approved it" if answer else "")
    )


def find_objection(service: str, version: int, tags: Mapping[str, str], answer: str) -> str:
    """Return why a version may not serve without an exception; empty where it may.

    `answer` is the recorded answer to its request for approval, empty where none was requested. A
    person may have approved an insufficient evaluation; every other verdict must be `pass`.
    """
    if not answer and ANSWER in tags:
        return (
            f"{service} v{version}: its tags name an approval that is not recorded in the control "
            f"store; {say_ways_on(service, version)}"
        )
    if answer and answer != ApprovalAnswer.APPROVED:
        return say_not_approved(service, version, answer)
    verdicts = {
        key.removeprefix(VERDICT): outcome
        for key, outcome in sorted(tags.items())
        if key.startswith(VERDICT)
    }
    found = [
        f"{gate} {outcome}"
        for gate, outcome in verdicts.items()
        if outcome != Outcome.PASS
        and not (answer and gate == MAY_BE_OPEN and outcome == Outcome.INSUFFICIENT)
    ]
    absent = [gate for gate in GATES if gate not in verdicts]
    if not verdicts:
        found = ["it carries no verdict"]
    elif absent:
        found.append(f"no verdict of {', '.join(absent)}")
    if not found:
        return ""
    ways = say_ways_on(service, version)
    return f"{service} v{version}: {', '.join(found)}; every verdict must be `pass`; {ways}"


def say_missing(service: str, version: int | None) -> str:
    """Say that the registry lacks the version that serves, and what a person can do."""
    return (
        f"{service} v{version} serves, but the registry does not have it (any more): nothing can "
        f"be compared with it, and no new gateway can fetch it; next: `sluice restore {service} "
        "VERSION --by NAME --reason WORDS` makes another version champion, or `sluice promote "
        f"{service}` the candidate"
    )


def say_ways_on(service: str, version: int) -> str:
    """Say what a person can do with a version that may not serve."""
    command = f"sluice restore {service} {version} --force --by NAME --reason WORDS"
    return f"next: release it through its gates, or make an exception: `{command}`"

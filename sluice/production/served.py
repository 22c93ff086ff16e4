"""The history of production: each version that served, and each that was on trial.

It is a view of the audit timeline and of the rollouts in the control store; nothing deletes either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.control.approval import ApprovalAnswer
from sluice.control.timeline import (
    ADOPT,
    BY_PERSONS,
    FORCED,
    PROMOTE,
    RELEASE,
    RESTORE,
    ROLLBACK,
    ROUTE,
    TimelineEntry,
)
from sluice.rollout.state import Phase

EXPLAINING = (PROMOTE, ApprovalAnswer.APPROVED.value, ADOPT, RELEASE)
"""Actions that let a version serve and are recorded beside the change; the first one counts."""
NEAR = timedelta(minutes=10)
"""How long before or after the change the entry that explains it was written."""
CAUSES = {
    ROLLBACK: "rolled back",
    RESTORE: "restored",
    FORCED: "restored by an exception",
    PROMOTE: "promoted",
    ApprovalAnswer.APPROVED.value: "approved",
    ADOPT: "alias moved by hand",
    RELEASE: "first release",
}


@dataclass(frozen=True)
class RolloutTrial:
    """One rollout: `weight` is the largest share of traffic that it gave the candidate, 0 to 1."""

    service: str
    number: int
    champion: int
    candidate: int
    opened: datetime
    ended: datetime | None
    weight: float
    phase: Phase
    reason: str = ""

    @property
    def promoted(self) -> bool:
        """Whether the candidate got all traffic and was not rolled back."""
        return self.phase in (Phase.SOAK, Phase.DONE)

    def describe(self) -> str:
        """Return `on trial from .. to .. at up to 25 %`, times in UTC."""
        until = f"to {write_minute(self.ended)}" if self.ended else "until now"
        share = f"at up to {self.weight:.0%}" if self.weight else "in shadow only"
        return f"on trial from {write_minute(self.opened)} {until} {share}"


@dataclass(frozen=True)
class ServedPeriod:
    """A time in which a version had the traffic, or a part of it; `until` None: it still has.

    `cause` says in a word how it came to serve, `replaced` is the version that served before, 0
    where nothing did. `trial` is the rollout before it, or, where `on_trial`, the period itself.
    """

    service: str
    version: int
    since: datetime
    until: datetime | None
    cause: str
    by: str = ""
    reason: str = ""
    origin: str = ""
    replaced: int = 0
    trial: RolloutTrial | None = None
    on_trial: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the period as values that JSON can hold, times in UTC, the share from 0 to 1."""
        trial = self.trial
        return {
            "service": self.service,
            "version": self.version,
            "role": "candidate" if self.on_trial else "champion",
            "since": _write_time(self.since),
            "until": _write_time(self.until),
            "cause": self.cause,
            "by": self.by,
            "reason": self.reason,
            "origin": self.origin,
            "replaced": self.replaced or None,
            "trial": trial
            and {
                "rollout": trial.number,
                "from": _write_time(trial.opened),
                "to": _write_time(trial.ended),
                "weight": trial.weight,
                "ended_as": trial.phase.value,
                "reason": trial.reason,
            },
        }


def list_periods(
    changes: Sequence[TimelineEntry],
    entries: Iterable[TimelineEntry],
    trials: Sequence[RolloutTrial],
) -> list[ServedPeriod]:
    """Return the history of production, newest first.

    `changes` are the entries by which another version came to serve, oldest first (`list_served`);
    `entries` is the whole timeline, which explains them; `trials` are all rollouts.
    """
    explaining = [item for item in entries if item.action in EXPLAINING]
    ends = [item.at for item in changes[1:]]
    earlier = [None, *changes][: len(changes)]
    served = [
        _build_served(change, before, until, explaining, trials)
        for change, before, until in zip(
            changes, earlier, [*ends, None][: len(changes)], strict=True
        )
    ]
    candidates = [_build_trial(item) for item in trials if not _led_to(item, served)]
    return sorted(
        [*served, *candidates], key=lambda item: (item.since, not item.on_trial), reverse=True
    )


def _build_served(
    change: TimelineEntry,
    before: TimelineEntry | None,
    until: datetime | None,
    explaining: Sequence[TimelineEntry],
    trials: Sequence[RolloutTrial],
) -> ServedPeriod:
    version = change.version or 0
    trial = _find_trial(change, trials)
    cause, told = _explain(change, before, until, explaining, trial)
    return ServedPeriod(
        change.service,
        version,
        change.at,
        until,
        cause,
        told.by,
        told.reason,
        told.origin or change.origin,
        (before.version or 0) if before else 0,
        trial if trial and trial.candidate == version else None,
    )


def _explain(
    change: TimelineEntry,
    before: TimelineEntry | None,
    until: datetime | None,
    explaining: Sequence[TimelineEntry],
    trial: RolloutTrial | None,
) -> tuple[str, TimelineEntry]:
    """Return in a word how a version came to serve, and the entry that has who and why."""
    if change.action in CAUSES:
        return CAUSES[change.action], change
    if trial is not None:
        verb = "promoted by" if trial.candidate == change.version else "returned by"
        return f"{verb} rollout {trial.number}", change
    if change.action != ROUTE:
        return change.action, change
    near = [
        item
        for item in explaining
        if item.version == change.version
        and abs(item.at - change.at) <= NEAR
        and (before is None or item.at >= before.at)
        and (until is None or item.at <= until)
        and (item.action != RELEASE or before is None)
    ]
    if not near:
        return ("first release" if before is None else "promoted"), change
    found = min(near, key=lambda item: (EXPLAINING.index(item.action), abs(item.at - change.at)))
    return CAUSES[found.action], found


def _find_trial(change: TimelineEntry, trials: Sequence[RolloutTrial]) -> RolloutTrial | None:
    """Return the rollout that changed who serves, which its entry names as its origin."""
    if change.action in BY_PERSONS:
        return None
    named = [item for item in trials if change.origin == f"rollout {item.number}"]
    return named[0] if named else None


def _led_to(trial: RolloutTrial, served: Sequence[ServedPeriod]) -> bool:
    return any(item.trial is not None and item.trial.number == trial.number for item in served)


def _build_trial(trial: RolloutTrial) -> ServedPeriod:
    return ServedPeriod(
        trial.service,
        trial.candidate,
        trial.opened,
        trial.ended,
        f"rollout {trial.number}: {trial.phase.value}",
        reason=trial.reason,
        origin=f"rollout {trial.number}",
        replaced=trial.champion,
        trial=trial,
        on_trial=True,
    )


def write_minute(moment: datetime) -> str:
    """Return a time in UTC, to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _write_time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None

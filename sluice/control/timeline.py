"""The audit timeline of a service: what was done, by whom, when, why and from where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

RELEASE, PROMOTE, ROLLBACK, RESTORE = "release", "promote", "rollback", "restore"
FORCED = "forced-restore"
"""A restore of a version that did not pass its gates, by a person's exception."""
BY_PERSONS = (ROLLBACK, RESTORE, FORCED)
"""The actions by which a person lets an earlier version serve."""
ADOPT, CONFLICT, ROUTE = "adopt", "conflict", "route"
ACCEPT_STORE = "accept-store"
QUARANTINE_ACCEPT, QUARANTINE_DROP = "quarantine-accept", "quarantine-drop"
OPENED, ENDED = "rollout-opened", "rollout-ended"
SCHEMA = "schema"
GAIN = "gain"
"""What a promotion gained, measured on live labels."""
REPRODUCE = "reproduce"
"""A version was made again from its record; the message says whether it is identical."""
SIGN = "sign"
"""A person signed the files of a version that was registered without a signature."""
NONE = 0
"""The previous version where there is none to go back to."""


@dataclass(frozen=True)
class TimelineEntry:
    """One entry; `by`, `reason` and `origin` are empty where nobody gave them.

    `previous` is set where the entry changed which version serves: the version to which a rollback
    goes back, or `NONE`.
    """

    service: str
    at: datetime
    action: str
    version: int | None = None
    by: str = ""
    reason: str = ""
    origin: str = ""
    """From where: a terminal, a flow run of Prefect, the status page, the keeper."""
    message: str = ""
    """The result as text."""
    previous: int | None = None
    sequence: int = 0
    """Its number in the store; 0 for an entry of another table."""

    def to_dict(self) -> dict[str, str | int | None]:
        """Return the entry as values that JSON can hold, the time in UTC."""
        return {
            "at": self.at.astimezone(UTC).isoformat(timespec="seconds"),
            "service": self.service,
            "action": self.action,
            "version": self.version,
            "by": self.by,
            "reason": self.reason,
            "origin": self.origin,
            "result": self.message,
        }


def sort_entries(entries: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    """Return entries newest first; of the same time, the one that was written last first."""
    return sorted(entries, key=lambda item: (item.at, item.sequence), reverse=True)

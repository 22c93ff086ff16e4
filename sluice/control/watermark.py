"""Watermarks: how far each source of a service was read, and which change was announced."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

GRACE = timedelta(minutes=30)
"""Time after which a change that was announced and not handled is announced again."""
CONFLICT_SUBJECT = "conflict"
"""Subject of the watermark that says where control store, registry and gateways disagree."""
NO_CONFLICT = "none"
"""The mark of a conflict that is over."""


@dataclass(frozen=True)
class Watermark:
    """One row per service and subject; `mark` is a fingerprint or a version as text.

    `subject` is what the mark belongs to, such as a source. `announced` is when an event last
    announced the mark, a time with its zone; None if it needs no announcement (any more).
    """

    service: str
    subject: str
    mark: str = ""
    announced: datetime | None = None

    @property
    def is_new(self) -> bool:
        """Whether it has no mark yet."""
        return not self.mark

    def settle(self, mark: str) -> "Watermark":
        """Return it with a mark that is handled."""
        return replace(self, mark=mark, announced=None)

    def announce(self, mark: str, now: datetime) -> "Watermark":
        """Return it with a mark that was announced."""
        return replace(self, mark=mark, announced=now)


def follow_change(seen: Watermark, mark: str, handled: bool, now: datetime) -> Watermark:
    """Return the watermark to write for the current mark; the same one if there is nothing to do.

    A change is announced once, and again after `GRACE` if it was not handled, since an event can
    be lost. A change that was handled is never announced again, also with a new configuration.
    `handled` says so of the current mark.
    """
    if seen.mark == mark and seen.announced is None:
        return seen
    if handled:
        return seen.settle(mark)
    waits = seen.mark == mark and seen.announced is not None and now < seen.announced + GRACE
    return seen if waits else seen.announce(mark, now)

"""How far a service's sources were followed, and which change of data the world was told of."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

GRACE = timedelta(minutes=30)
"""How long a change that was told may stay without an answer before it is told again."""


@dataclass(frozen=True)
class Watermark:
    """One row a service and thing that is followed; `mark` is a fingerprint or version as text.

    `announced` is when the mark was last told to the world, a time with its zone; None where it
    need not be told (any more).
    """

    service: str
    what: str
    mark: str = ""
    announced: datetime | None = None

    @property
    def is_new(self) -> bool:
        """Whether nothing was seen yet."""
        return not self.mark

    def settle(self, mark: str) -> "Watermark":
        """Give it as it is once the mark is answered or taken."""
        return replace(self, mark=mark, announced=None)

    def tell(self, mark: str, now: datetime) -> "Watermark":
        """Give it as it is once the mark was told."""
        return replace(self, mark=mark, announced=now)


def follow_change(seen: Watermark, mark: str, answered: bool, now: datetime) -> Watermark:
    """Give the watermark as it must become for the mark that stands now; the same: do nothing.

    A change is told once. It is told again after `GRACE` where nobody answered it, since an event
    can be lost. What was answered once is never told again, also under a new configuration.
    """
    if seen.mark == mark and seen.announced is None:
        return seen
    if answered:
        return seen.settle(mark)
    waits = seen.mark == mark and seen.announced is not None and now < seen.announced + GRACE
    return seen if waits else seen.tell(mark, now)

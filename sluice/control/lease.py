"""A lease: the exclusive right to work on a service, for as long as it is renewed.

Clocks of two machines are never compared. A lease has a counter, and a run that waits for it
measures with its own monotonic clock how long the counter has not changed (Gray and Cheriton
1989). Each new holder gets the next epoch, so that a former holder that comes back is recognized.
"""

from dataclasses import dataclass, replace

FREE = ""


@dataclass(frozen=True)
class Lease:
    """One row per service and purpose; `ttl` in seconds, `renewal` counts the renewals."""

    service: str
    purpose: str
    holder: str = FREE
    epoch: int = 0
    ttl: float = 0.0
    renewal: int = 0

    @property
    def is_free(self) -> bool:
        """Whether it has no holder."""
        return self.holder == FREE

    def take(self, holder: str, ttl: float) -> "Lease":
        """Return the lease with a new holder: the next epoch, with 0 renewals."""
        return replace(self, holder=holder, epoch=self.epoch + 1, ttl=ttl, renewal=0)

    def renew(self) -> "Lease":
        """Return the lease after one more renewal."""
        return replace(self, renewal=self.renewal + 1)

    def free(self) -> "Lease":
        """Return the lease without a holder; the epoch stays until the next holder."""
        return replace(self, holder=FREE)


class LeaseWatch:
    """Decides from one reader's observations whether a lease's holder is gone."""

    def __init__(self) -> None:
        self._seen: Lease | None = None
        self._since = 0.0

    def has_lapsed(self, lease: Lease, now: float) -> bool:
        """Whether the lease was not renewed for its `ttl`; `now` is in monotonic seconds.

        The time counts from the reader's first look at the present state of the lease.
        """
        if lease != self._seen:
            self._seen, self._since = lease, now
        return lease.is_free or now - self._since >= lease.ttl

"""The right to be the only one at work on a service, for as long as it is renewed.

Wall clocks of two machines are never compared: a lease carries a counter, and whoever waits for it
times by a monotonic clock of its own how long the counter stood still (Gray and Cheriton 1989).
Each new holder gets the next epoch, so that a holder that comes back late is told apart.
"""

from dataclasses import dataclass, replace

FREE = ""


@dataclass(frozen=True)
class Lease:
    """One row a service and purpose; `ttl` in seconds, `renewal` counts up while it is alive."""

    service: str
    purpose: str
    holder: str = FREE
    epoch: int = 0
    ttl: float = 0.0
    renewal: int = 0

    @property
    def is_free(self) -> bool:
        """Whether nobody holds it."""
        return self.holder == FREE

    def take(self, holder: str, ttl: float) -> "Lease":
        """Give the lease as its next holder has it: a new epoch, counted from nought."""
        return replace(self, holder=holder, epoch=self.epoch + 1, ttl=ttl, renewal=0)

    def renew(self) -> "Lease":
        """Give the lease one renewal on."""
        return replace(self, renewal=self.renewal + 1)

    def free(self) -> "Lease":
        """Give the lease as its holder leaves it; the epoch stays, the next holder moves it."""
        return replace(self, holder=FREE)


class LeaseWatch:
    """Tells, from what one reader saw at which time, whether a lease's holder has gone."""

    def __init__(self) -> None:
        self._seen: Lease | None = None
        self._since = 0.0

    def has_lapsed(self, lease: Lease, now: float) -> bool:
        """Whether the lease stood still for its `ttl`; `now` is the reader's monotonic seconds.

        A lease seen for the first time has just begun to stand still, whatever its age.
        """
        if lease != self._seen:
            self._seen, self._since = lease, now
        return lease.is_free or now - self._since >= lease.ttl

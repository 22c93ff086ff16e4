"""What a replica believes of a service's route, by its own monotonic clock alone.

The champion is believed as soon as it is read. A candidate is believed only while its route is
renewed before this replica's eyes: the lease begins with each change of epoch or renewal that it
sees, and lapses after the route's `ttl`. So a controller that died, a store that is away, a wall
clock that jumps and a replica that has just started all end in the same place: the champion.
"""

from dataclasses import dataclass, replace

from sluice.control.route import Mode, Route

NEVER = float("-inf")
SLACK = 3.0
"""A look later than ttl / SLACK after the one before cannot tell when a renewal came."""


@dataclass(frozen=True)
class Belief:
    """One service's route as a replica last read it, and since when its lease runs.

    `looked` and `renewed` are the replica's own monotonic seconds; `stale` is an epoch older than
    the one believed, which was read last.
    """

    route: Route | None = None
    looked: float = NEVER
    renewed: float = NEVER
    stale: int | None = None

    def see(self, route: Route | None, now: float) -> "Belief":
        """Give what is believed after a look at the store; None where it could not be read.

        Of an epoch or renewal older than the one believed nothing is taken: somebody speaks who
        was overtaken, or a store that lags.
        """
        if route is None:
            return self
        mine = self.route
        if mine is None:
            return Belief(route, now)
        if (route.epoch, route.renewal) < (mine.epoch, mine.renewal):
            return replace(self, stale=route.epoch)
        if (route.epoch, route.renewal) == (mine.epoch, mine.renewal):
            return replace(self, looked=now, stale=None)
        # After a long gap the renewal may be as old as the gap: it counts from the last look.
        seen_soon = now - self.looked <= route.ttl / SLACK
        return Belief(route, now, now if seen_soon else self.looked)

    @property
    def champion(self) -> int | None:
        """The version that answers; None before any route was read."""
        return self.route.champion if self.route else None

    def candidate(self, now: float) -> int | None:
        """Give the version on trial while its lease runs, in shadow too; else None."""
        return self.route.candidate if self.route and self._is_alive(now) else None

    def weight(self, now: float) -> float:
        """Give the candidate's share of units, 0 to 1; 0 without a lease, and in shadow."""
        canary = self.route and self.route.mode is Mode.CANARY
        return self.route.weight if self.route and canary and self._is_alive(now) else 0.0

    def reason(self, now: float) -> str:
        """Say why a candidate that the route names gets nothing; empty where nothing hinders it."""
        route = self.route
        if route is None:
            return "no route was read yet"
        if route.candidate is None or self._is_alive(now):
            return ""
        told = f"; the store now shows epoch {self.stale}, older" if self.stale is not None else ""
        if self.renewed == NEVER:
            return f"this replica waits for a first renewal of epoch {route.epoch}{told}"
        still = now - self.renewed
        return f"no renewal of epoch {route.epoch} for {still:.1f} s, ttl {route.ttl:g} s{told}"

    def _is_alive(self, now: float) -> bool:
        return self.route is not None and now - self.renewed < self.route.ttl

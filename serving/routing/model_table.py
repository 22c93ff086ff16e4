"""Which models answer for which service, and what a replica may still assume of each route.

The champion is believed as soon as it is read. A candidate is believed only while its route is
renewed before this replica's eyes: the lease begins with each change of epoch or renewal that it
sees, and lapses after the route's `ttl`. So a controller that died, a store that is away, a wall
clock that jumps and a replica that has just started all end in the same place: the champion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from serving.models.predictors import ModelPredictor
from serving.routing.calls import CandidatePool
from sluice.control.route import Mode, Route

NEVER = float("-inf")
SLACK = 3.0
"""A look later than ttl / SLACK after the one before cannot tell when a renewal came."""


@dataclass(frozen=True)
class RouteState:
    """One service's route as a replica last read it, and since when its lease runs.

    `looked` and `renewed` are the replica's own monotonic seconds; `stale` is an epoch older than
    the one believed, which was read last.
    """

    route: Route | None = None
    looked: float = NEVER
    renewed: float = NEVER
    stale: int | None = None

    def see(self, route: Route | None, now: float) -> "RouteState":
        """Give what is believed after a look at the store; None where it could not be read.

        Of an epoch or renewal older than the one believed nothing is taken: somebody speaks who
        was overtaken, or a store that lags.
        """
        if route is None:
            return self
        mine = self.route
        if mine is None:
            return RouteState(route, now)
        if (route.epoch, route.renewal) < (mine.epoch, mine.renewal):
            return replace(self, stale=route.epoch)
        if (route.epoch, route.renewal) == (mine.epoch, mine.renewal):
            return replace(self, looked=now, stale=None)
        # After a long gap the renewal may be as old as the gap: it counts from the last look.
        seen_soon = now - self.looked <= route.ttl / SLACK
        return RouteState(route, now, now if seen_soon else self.looked)

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


@dataclass(frozen=True, eq=False)
class ServiceEntry:
    """One service: what is believed of its route, and the models that are there for it.

    `champion` may be an older version for the moment that a new one needs to load; `missing` says
    what cannot be had. A lane is there when the candidate's model is.
    """

    service: str
    belief: RouteState
    champion: ModelPredictor | None = None
    lane: CandidatePool | None = None
    missing: str = ""


@dataclass(frozen=True, eq=False)
class ModelTable:
    """All services of a worker; a request takes one and keeps it to its end."""

    seats: Mapping[str, ServiceEntry] = field(default_factory=dict)
    has_looked: bool = False
    """Whether routes were ever read: before, a service may exist that is not here."""


def build_entry(
    belief: RouteState,
    champion: ModelPredictor | None,
    candidate: ModelPredictor | None,
    before: ServiceEntry | None,
    missing: str,
) -> ServiceEntry:
    """Give a service's seat; its lane stays the same while model and limits do.

    Raises:
        ValueError: nothing is believed of the service's route.
    """
    route = belief.route
    if route is None:
        raise ValueError("a seat needs a route")
    lane = None
    if candidate is not None and route.candidate == candidate.version:
        shares = champion is not None and _columns(candidate) == _columns(champion)
        limits = (route.candidate_concurrency, route.arm_timeout_ms, shares)
        old = before.lane if before else None
        same = old is not None and old.predictor is candidate and old.limits == limits
        lane = old if same else CandidatePool(candidate, *limits)
    return ServiceEntry(route.service, belief, champion, lane, missing)


def _columns(predictor: ModelPredictor) -> list[tuple[str, str]]:
    return list(predictor.model.signature.columns.items())

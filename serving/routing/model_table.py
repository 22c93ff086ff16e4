"""Which versions answer for which service, and what a replica knows of each route.

A champion is valid as soon as it is read. A candidate is valid only while this replica itself sees
its route renewed: its lease begins with each change of epoch or renewal that the replica sees, and
lapses after the route's `ttl`. So a controller that died, a store that cannot be reached, a wall
clock that jumps and a replica that has just started all lead to the same result: the champion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from serving.llm.prompts import LoadedPrompt
from serving.models.predictors import ModelPredictor
from serving.routing.calls import Bulkhead, CandidatePool
from serving.routing.prompt_calls import PromptPool
from sluice.control.route import Mode, Route

NEVER = float("-inf")
SLACK = 3.0
"""A read later than ttl / SLACK after the one before cannot tell when a renewal happened."""


@dataclass(frozen=True)
class RouteState:
    """One service's route as a replica read it last, and since when its lease runs.

    `read_at` and `renewed_at` are in the replica's own monotonic seconds; `stale` is the epoch that
    was read last, where it does not count: it is older than the route's, or another history's. 0
    there: the store has no such route.
    """

    route: Route | None = None
    read_at: float = NEVER
    renewed_at: float = NEVER
    stale: int | None = None

    def update(self, route: Route | None, now: float) -> "RouteState":
        """Return the state after a read of the store; `route` is None where the read failed.

        An epoch or renewal older than the known one changes nothing: it comes from a controller
        that was replaced, or from a store that lags or was restored. Neither does another route of
        the same epoch.
        """
        if route is None:
            return self
        known = self.route
        if known is None:
            return RouteState(route, now)
        is_other = route.epoch == known.epoch and replace(route, renewal=known.renewal) != known
        if is_other or (route.epoch, route.renewal) < (known.epoch, known.renewal):
            return replace(self, stale=route.epoch)
        if (route.epoch, route.renewal) == (known.epoch, known.renewal):
            return replace(self, read_at=now, stale=None)
        # After a long gap the renewal may be as old as the gap: it counts from the read before.
        read_recently = now - self.read_at <= route.ttl / SLACK
        return RouteState(route, now, now if read_recently else self.read_at)

    def lose(self) -> "RouteState":
        """Return the state after a read in which the store had no such route (any more)."""
        return replace(self, stale=0) if self.route else self

    @property
    def conflict(self) -> str:
        """Why the control store's word does not count here; empty where it does."""
        route = self.route
        if route is None or self.stale is None:
            return ""
        found = f"epoch {self.stale}" if self.stale else "no route"
        found = f"another state of {found}" if self.stale == route.epoch else found
        return (
            f"the control store shows {found}, this replica knows epoch {route.epoch}: an older "
            "store was restored, or it lags, and what it decides does not count here; next: "
            f"`sluice accept-store {route.service} --by NAME --reason WORDS` takes its word"
        )

    @property
    def champion(self) -> int | None:
        """The version that serves; None before any route was read."""
        return self.route.champion if self.route else None

    def candidate(self, now: float) -> int | None:
        """Return the version on trial while its lease runs, in shadow too; else None."""
        return self.route.candidate if self.route and self._has_lease(now) else None

    def weight(self, now: float) -> float:
        """Return the candidate's share of units, 0 to 1; 0 without a lease, and in shadow."""
        canary = self.route and self.route.mode is Mode.CANARY
        return self.route.weight if self.route and canary and self._has_lease(now) else 0.0

    def reason(self, now: float) -> str:
        """Return why the route's candidate gets nothing; empty where it has a lease."""
        route = self.route
        if route is None:
            return "no route was read yet"
        if route.candidate is None or self._has_lease(now):
            return ""
        stale = f"; the store now shows epoch {self.stale}, older" if self.stale is not None else ""
        if self.renewed_at == NEVER:
            return f"this replica waits for a first renewal of epoch {route.epoch}{stale}"
        since = now - self.renewed_at
        return f"no renewal of epoch {route.epoch} for {since:.1f} s, ttl {route.ttl:g} s{stale}"

    def _has_lease(self, now: float) -> bool:
        return self.route is not None and now - self.renewed_at < self.route.ttl


class LoadedVersion(Protocol):
    """A version of a model or a prompt in memory."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def backend_name(self) -> str:
        """What computes its answers."""

    @property
    def backend_reason(self) -> str:
        """Why that and not the usual one; empty where it is the usual one."""


Champion = TypeVar("Champion", bound=LoadedVersion)
Pool = TypeVar("Pool", bound=Bulkhead)


@dataclass(frozen=True, eq=False)
class ServiceEntry(Generic[Champion, Pool]):
    """One service: the state of its route, and the versions that are loaded for it.

    `champion` may be an older version while the wanted one is not to be had; `missing` says what is
    not there. The candidate has a pool once its version is loaded.
    """

    service: str
    state: RouteState
    champion: Champion | None = None
    pool: Pool | None = None
    missing: str = ""

    @property
    def wanted(self) -> int | None:
        """The version that the route names as champion."""
        return self.state.champion

    @property
    def wanted_reason(self) -> str:
        """Why the wanted version does not serve; empty where it does."""
        serves = self.champion is not None and self.champion.version == self.wanted
        return "" if serves else self.missing


ModelEntry = ServiceEntry[ModelPredictor, CandidatePool]
PromptEntry = ServiceEntry[LoadedPrompt, PromptPool]
AnyEntry = ModelEntry | PromptEntry


@dataclass(frozen=True, eq=False)
class ModelTable:
    """All services of a worker; a request reads one table and keeps it to its end."""

    entries: Mapping[str, ModelEntry] = field(default_factory=dict)
    """Services whose versions are models."""
    has_routes: bool = False
    """Whether routes were ever read: before that, a service may exist that is not here."""
    read_at: float = NEVER
    """When the control store was read last, in the replica's own monotonic seconds."""
    store_problem: str = ""
    """Why the last try to read it failed; empty where it did not."""
    prompts: Mapping[str, PromptEntry] = field(default_factory=dict)
    """Services whose versions are prompts; no name is in both."""

    def list_entries(self) -> Iterator[AnyEntry]:
        """Yield all services, those of models first."""
        yield from self.entries.values()
        yield from self.prompts.values()

    def find(self, service: str) -> AnyEntry | None:
        """Return a service of either kind; None where there is none."""
        return self.entries.get(service) or self.prompts.get(service)


def build_entry(
    state: RouteState,
    champion: ModelPredictor | None,
    candidate: ModelPredictor | None,
    before: ModelEntry | None,
    missing: str,
) -> ModelEntry:
    """Return a model's entry; its pool stays the same while model and limits do.

    Raises:
        ValueError: no route of the service was read.
    """
    route, pool = _require_route(state), None
    if candidate is not None and route.candidate == candidate.version:
        shares_records = champion is not None and _columns(candidate) == _columns(champion)
        limits = (route.candidate_concurrency, route.arm_timeout_ms, shares_records)
        old = before.pool if before else None
        same = old is not None and old.predictor is candidate and old.limits == limits
        pool = old if same else CandidatePool(candidate, *limits)
    return ServiceEntry(route.service, state, champion, pool, missing)


def build_prompt_entry(
    state: RouteState,
    champion: LoadedPrompt | None,
    candidate: LoadedPrompt | None,
    before: PromptEntry | None,
    missing: str,
) -> PromptEntry:
    """Return a prompt's entry; its pool stays the same while version and limits do.

    Raises:
        ValueError: no route of the service was read.
    """
    route, pool = _require_route(state), None
    if candidate is not None and route.candidate == candidate.version:
        limits = (route.candidate_concurrency, route.arm_timeout_ms)
        old = before.pool if before else None
        same = old is not None and old.prompt is candidate and old.limits == limits
        pool = old if same else PromptPool(candidate, *limits)
    return ServiceEntry(route.service, state, champion, pool, missing)


def _require_route(state: RouteState) -> Route:
    if state.route is None:
        raise ValueError("an entry needs a route")
    return state.route


def _columns(predictor: ModelPredictor) -> list[tuple[str, str]]:
    return list(predictor.model.signature.columns.items())

"""Which arm a request belongs to: the unit's place decides, where a candidate may get requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import msgspec

from serving.log.records import AssignedArm
from serving.models.predictors import ModelPredictor
from serving.models.signature import Record
from serving.routing.breaker import Admission, WorkerBreakers
from serving.routing.calls import Bulkhead, CandidatePool
from serving.routing.model_table import Champion, Pool, ServiceEntry
from sluice.control.route import Mode, Route
from sluice.rollout.assignment import place_of, takes_candidate

Slots_co = TypeVar("Slots_co", bound=Bulkhead, covariant=True)


@dataclass(frozen=True)
class Assignment(Generic[Slots_co]):
    """One request's arm, and the candidate's call that comes with it, if any.

    `pool` answers the request first, `shadow` gets a copy afterwards. While the candidate's breaker
    is open, all requests belong to arm `none`, probes too.
    """

    arm: AssignedArm
    place: float
    pool: Slots_co | None = None
    shadow: Slots_co | None = None
    is_probe: bool = False
    stages: tuple[float, ...] = ()


class RequestContext(NamedTuple):
    """A request after it was decoded and assigned to an arm."""

    route: Route
    champion: ModelPredictor
    records: Sequence[Record]
    is_many: bool
    inputs: msgspec.Raw
    """The records as the caller sent them, JSON."""
    request_id: str
    unit: str
    """The hash of its unit, as it is logged."""
    given_unit: str | None
    """The unit as the caller sent it."""
    assignment: Assignment[CandidatePool]
    trace_id: str | None = None
    """The caller's trace; None where it named none."""


def assign_request(
    entry: ServiceEntry[Champion, Pool],
    route: Route,
    unit: str,
    breakers: WorkerBreakers,
    now: float,
    is_low: bool = False,
) -> Assignment[Pool]:
    """Return a request's arm; `unit` is the hash of its unit, `now` in monotonic seconds.

    `is_low`: the log is low on space, so the candidate gets nothing and no arm is counted.
    """
    if route.candidate is None:
        return Assignment(AssignedArm.CHAMPION, 0.0)
    place = place_of(route.salt, unit)
    pool = entry.pool
    if is_low or pool is None or entry.state.candidate(now) is None:
        return Assignment(AssignedArm.NONE, place)
    if route.mode is Mode.SHADOW:
        return _assign_shadow(route, pool, unit, place, breakers, now)
    inside = takes_candidate(place, entry.state.weight(now))
    return _assign_canary(route, pool, inside, place, breakers, now)


def _assign_canary(
    route: Route,
    pool: Pool,
    inside: bool,
    place: float,
    breakers: WorkerBreakers,
    now: float,
) -> Assignment[Pool]:
    """Return the arm of the unit's place; `none` while the candidate's breaker is open."""
    candidate = route.candidate or 0
    if breakers.is_closed(route.service, candidate):
        if inside:
            return Assignment(AssignedArm.CANDIDATE, place, pool)
        return Assignment(AssignedArm.CHAMPION, place)
    if inside and breakers.admit(route.service, candidate, now) is Admission.PROBE:
        return Assignment(AssignedArm.NONE, place, pool, is_probe=True)
    return Assignment(AssignedArm.NONE, place)


def _assign_shadow(
    route: Route, pool: Pool, unit: str, place: float, breakers: WorkerBreakers, now: float
) -> Assignment[Pool]:
    """Return the champion's arm; `none` while the candidate's breaker is open."""
    candidate = route.candidate or 0
    if breakers.is_closed(route.service, candidate):
        whole = route.shadow_share >= 1
        shared = whole or place_of(f"{route.salt}:shadow", unit) < route.shadow_share
        shadow = pool if shared else None
        return Assignment(AssignedArm.CHAMPION, place, shadow=shadow, stages=route.stage_weights)
    if breakers.admit(route.service, candidate, now) is Admission.PROBE:
        return Assignment(AssignedArm.NONE, place, shadow=pool, is_probe=True)
    return Assignment(AssignedArm.NONE, place)

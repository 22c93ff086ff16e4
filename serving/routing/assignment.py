"""Which arm a request belongs to: the unit's place decides, where a candidate may be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import msgspec

from serving.log.records import AssignedArm
from serving.models.predictors import ModelPredictor
from serving.models.signature import Record
from serving.routing.breaker import Admission, WorkerBreakers
from serving.routing.calls import CandidatePool
from serving.routing.model_table import ServiceEntry
from sluice.control.route import Mode, Route
from sluice.rollout.assignment import place_of, takes_candidate

DIGITS = 32


@dataclass(frozen=True)
class Assignment:
    """One request's arm, and which call of the candidate it comes with, if any.

    `lane` answers the request first, `shadow` gets a copy afterwards. A probe of an open breaker
    belongs to arm `none`, as all requests do while it is open.
    """

    arm: AssignedArm
    place: float
    lane: CandidatePool | None = None
    shadow: CandidatePool | None = None
    is_probe: bool = False
    stages: tuple[float, ...] = ()


class RequestContext(NamedTuple):
    """A request that was decoded and assigned to an arm."""

    route: Route
    champion: ModelPredictor
    records: Sequence[Record]
    is_many: bool
    inputs: msgspec.Raw
    """The records as the caller sent them, JSON."""
    request_id: str
    unit: str
    """The hash of its unit, as the log has it."""
    given_unit: str | None
    """The unit as the caller sent it."""
    assignment: Assignment


def hash_unit(unit: str) -> str:
    """Give a user or session as the log has it: the first 128 bits of its sha256, as digits."""
    return sha256(unit.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def assign_request(
    seat: ServiceEntry,
    route: Route,
    key: str,
    circuits: WorkerBreakers,
    now: float,
    is_low: bool = False,
) -> Assignment:
    """Decide a request's arm; `key` is its unit as the log has it, `now` in monotonic seconds.

    `is_low`: the log has no room to spare, so the candidate gets nothing, and nobody is counted.
    """
    if route.candidate is None:
        return Assignment(AssignedArm.CHAMPION, 0.0)
    place = place_of(route.salt, key)
    lane = seat.lane
    if is_low or lane is None or seat.belief.candidate(now) is None:
        return Assignment(AssignedArm.NONE, place)
    if route.mode is Mode.SHADOW:
        return _assign_shadow(route, lane, key, place, circuits, now)
    inside = takes_candidate(place, seat.belief.weight(now))
    return _assign_canary(route, lane, inside, place, circuits, now)


def _assign_canary(
    route: Route,
    lane: CandidatePool,
    inside: bool,
    place: float,
    circuits: WorkerBreakers,
    now: float,
) -> Assignment:
    """Give the arm that the place says; while the candidate's breaker is open there is none."""
    candidate = route.candidate or 0
    if circuits.is_closed(route.service, candidate):
        if inside:
            return Assignment(AssignedArm.CANDIDATE, place, lane)
        return Assignment(AssignedArm.CHAMPION, place)
    if inside and circuits.admit(route.service, candidate, now) is Admission.PROBE:
        return Assignment(AssignedArm.NONE, place, lane, is_probe=True)
    return Assignment(AssignedArm.NONE, place)


def _assign_shadow(
    route: Route, lane: CandidatePool, key: str, place: float, circuits: WorkerBreakers, now: float
) -> Assignment:
    """Give the champion's arm; while the candidate's breaker is open it belongs to nobody."""
    candidate = route.candidate or 0
    if circuits.is_closed(route.service, candidate):
        whole = route.shadow_share >= 1
        shared = whole or place_of(f"{route.salt}:shadow", key) < route.shadow_share
        shadow = lane if shared else None
        return Assignment(AssignedArm.CHAMPION, place, shadow=shadow, stages=route.stage_weights)
    if circuits.admit(route.service, candidate, now) is Admission.PROBE:
        return Assignment(AssignedArm.NONE, place, shadow=lane, is_probe=True)
    return Assignment(AssignedArm.NONE, place)

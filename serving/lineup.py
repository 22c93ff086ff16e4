"""Who answers for what, as a worker knows it now: one object that is replaced whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.belief import Belief
from serving.lane import Lane
from serving.predictor import ModelPredictor


@dataclass(frozen=True, eq=False)
class Seat:
    """One service: what is believed of its route, and the models that are there for it.

    `champion` may be an older version for the moment that a new one needs to load; `missing` says
    what cannot be had. A lane is there when the candidate's model is.
    """

    service: str
    belief: Belief
    champion: ModelPredictor | None = None
    lane: Lane | None = None
    missing: str = ""


@dataclass(frozen=True, eq=False)
class Lineup:
    """All services of a worker; a request takes one and keeps it to its end."""

    seats: Mapping[str, Seat] = field(default_factory=dict)
    has_looked: bool = False
    """Whether routes were ever read: before, a service may exist that is not here."""


def seat_service(
    belief: Belief,
    champion: ModelPredictor | None,
    candidate: ModelPredictor | None,
    before: Seat | None,
    missing: str,
) -> Seat:
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
        lane = old if same else Lane(candidate, *limits)
    return Seat(route.service, belief, champion, lane, missing)


def _columns(predictor: ModelPredictor) -> list[tuple[str, str]]:
    return list(predictor.model.signature.columns.items())

"""The route of a service: which versions answer, and with what shares of traffic.

A route is a lease as well: a gateway uses its candidate only while the route is renewed. It reads
that from a counter and not from a clock (Gray and Cheriton 1989).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import inf
from typing import Literal

AssignBy = Literal["unit", "request"]
RouteKind = Literal["model", "prompt"]
"""What the versions of a route are: models of the registry, or prompts of `prompts/`."""


class Mode(StrEnum):
    """What the candidate gets: nothing, copies of requests, or a share of them."""

    CHAMPION = "champion"
    SHADOW = "shadow"
    CANARY = "canary"


@dataclass(frozen=True)
class Route:
    """One row per service; each change is a new epoch, `renewal` counts renewals within one.

    `weight` is the candidate's share of units, `stage_weights` those of all stages, ascending;
    `shadow_share` is the share of requests that are copied to it. `ttl` in seconds. In shadow,
    numbers agree if they differ by at most `tolerance`. A business value counts up to `value_cap`
    and a cost, in US dollars, up to `cost_cap`; with a cap of 0 they do not count.

    Raises:
        ValueError: a value is out of its range, or candidate and mode do not fit together.
    """

    service: str
    champion: int
    candidate: int | None = None
    weight: float = 0.0
    stage_weights: tuple[float, ...] = ()
    shadow_share: float = 1.0
    salt: str = ""
    assign_by: AssignBy = "unit"
    mode: Mode = Mode.CHAMPION
    arm_timeout_ms: float = 1000.0
    candidate_concurrency: int = 8
    epoch: int = 0
    ttl: float = 15.0
    renewal: int = 0
    tolerance: float = 0.0
    value_cap: float = 0.0
    kind: RouteKind = "model"
    experiment: str = ""
    """The experiment that runs on it, whose arms may be of one version; empty in a rollout."""
    cost_cap: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no gateway could follow."""
        _require(self.service, "champion", self.champion >= 1, self.champion, "1 and more")
        _require(self.service, "weight", 0 <= self.weight <= 1, self.weight, "0 to 1")
        share = self.shadow_share
        _require(self.service, "shadow_share", 0 <= share <= 1, share, "0 to 1")
        weights = self.stage_weights
        fits = all(0 <= item <= 1 for item in weights) and all(a < b for a, b in pairwise(weights))
        _require(self.service, "stage_weights", fits, weights, "ascending, each 0 to 1")
        timeout = self.arm_timeout_ms
        _require(self.service, "arm_timeout_ms", timeout > 0, timeout, "more than 0")
        most = self.candidate_concurrency
        _require(self.service, "candidate_concurrency", most >= 1, most, "1 and more")
        _require(self.service, "ttl", self.ttl > 0, self.ttl, "more than 0 seconds")
        for name in ("tolerance", "value_cap", "cost_cap"):
            value = getattr(self, name)
            _require(self.service, name, 0 <= value < inf, value, "0 and more")
        self._check_candidate()

    def _check_candidate(self) -> None:
        alone = self.mode is Mode.CHAMPION
        taken = (None,) if self.experiment else (None, self.champion)
        fits = self.candidate is None if alone else self.candidate not in taken
        allowed = "none" if alone else "a version other than the champion"
        _require(self.service, f"candidate in mode {self.mode}", fits, self.candidate, allowed)
        fits = self.mode is Mode.CANARY or not self.weight
        _require(self.service, f"weight in mode {self.mode}", fits, self.weight, "0")
        fits = alone or bool(self.salt)
        _require(self.service, "salt", fits, repr(self.salt), "a text of the rollout's own")

    def follow(self, champion: int) -> "Route":
        """Return the route with another champion and without a candidate."""
        return replace(
            self,
            champion=champion,
            candidate=None,
            weight=0.0,
            mode=Mode.CHAMPION,
            salt="",
            experiment="",
        )

    def serves(self, version: int) -> bool:
        """Whether callers get answers of the version; copies of requests in shadow are none."""
        return version == self.champion or (version == self.candidate and self.weight > 0)

    def names(self, version: int) -> bool:
        """Whether the version is the route's champion or candidate."""
        return version in (self.champion, self.candidate)


def _require(service: str, field: str, fits: bool, found: object, allowed: str) -> None:
    if not fits:
        raise ValueError(f"route of {service}: {field}: found {found}; allowed: {allowed}")

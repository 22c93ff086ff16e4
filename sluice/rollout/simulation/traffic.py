"""Traffic that a policy is tried on: rates, faults, and what makes it harder than dice."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Incident:
    """A time in which both arms fail at `errors` at least; seconds since the rollout's start."""

    start: float
    length: float
    errors: float

    def covers(self, seconds: Floats) -> NDArray[np.bool_]:
        """Whether each time lies in the incident."""
        return (seconds >= self.start) & (seconds < self.start + self.length)


@dataclass(frozen=True)
class Drift:
    """Both arms' error rate moves in a straight line to `errors`; seconds since the start."""

    errors: float
    start: float
    length: float

    def follow(self, rate: float, seconds: Floats) -> Floats:
        """Give the rate at each time."""
        share = np.clip((seconds - self.start) / self.length, 0, 1)
        return np.asarray(rate + share * (self.errors - rate))


@dataclass(frozen=True)
class Regression:
    """What is wrong with the candidate from `start` on, in seconds since the rollout's start."""

    errors: float = 0.0
    """Added to the champion's error rate."""
    slowdown: float = 1.0
    """Each answer takes this many times as long."""
    start: float = 0.0
    guardrails: float = 1.0
    """So many times the champion's guardrail hits."""
    negatives: float = 1.0
    """So many times the champion's negative feedback."""
    costs: float = 1.0
    """Each request costs so many times as much."""
    values: float = 1.0
    """So many times the champion's mean business value."""

    def has_begun(self, seconds: Floats) -> NDArray[np.bool_]:
        """Whether the fault is there at each time."""
        return np.asarray(seconds >= self.start)


@dataclass(frozen=True)
class Signals:
    """What the champion's answers bring beside errors and time."""

    guardrails: float = 0.002
    """Share of requests with a guardrail hit."""
    feedbacks: float = 0.02
    """Share of requests that get feedback, within their block."""
    negatives: float = 0.1
    """Share of feedback that is negative."""
    cost_spread: float = 1.0
    """Standard deviation of a request's cost, in means."""
    valued: float = 0.1
    """Share of requests that bring a value of the business metric."""
    value: float = 0.5
    """Mean of those values, in caps."""


@dataclass(frozen=True)
class Users:
    """Users who differ: weights lognormal(0, `spread`), each one's error rate Beta(a, b)."""

    count: int = 5000
    spread: float = 1.5
    a: float = 0.01
    b: float = 0.99
    balanced: bool = False
    """Whether shadow balance chooses the salt (eight are tried, else the rollout is held)."""


@dataclass(frozen=True)
class Traffic:
    """Requests as they come: Poisson counts, independent but for what is switched on here."""

    rate: float = 50.0
    """Requests a second, all arms together."""
    errors: float = 0.01
    """The champion's share of failed requests; with users, their own rates stand in its place."""
    regression: Regression = field(default_factory=Regression)
    clustering: float = 0.0
    """Spread (sigma) of the lognormal factor on the error rate, a new one each block."""
    shared: bool = True
    """Whether both arms have the same factor, or each its own."""
    incident: Incident | None = None
    drift: Drift | None = None
    users: Users | None = None
    latency: float = 100.0
    """Median time of an answer in milliseconds."""
    latency_spread: float = 0.6
    """Sigma of the lognormal times."""
    disagreement: float = 0.02
    """Share of shadow answers that differ from the champion's."""
    signals: Signals | None = None
    """Guardrail hits, feedback and costs; None leaves their rules out."""

    def champion_errors(self, seconds: Floats) -> Floats:
        """Give the champion's error rate at each time, clustering and users aside."""
        rate = np.full(seconds.shape, self.errors)
        if self.drift:
            rate = self.drift.follow(self.errors, seconds)
        if self.incident:
            inside = self.incident.covers(seconds)
            rate = np.where(inside, np.maximum(rate, self.incident.errors), rate)
        return rate

    def added_errors(self, seconds: Floats) -> Floats:
        """Give what the candidate fails more, at each time."""
        return np.where(self.regression.has_begun(seconds), self.regression.errors, 0.0)

    def slowdowns(self, seconds: Floats) -> Floats:
        """Give how many times as long the candidate takes, at each time."""
        return np.where(self.regression.has_begun(seconds), self.regression.slowdown, 1.0)


@dataclass(frozen=True)
class Counts:
    """One block of many rollouts: requests and failures by arm, one entry a rollout."""

    n_c: Floats
    k_c: Floats
    n_b: Floats
    k_b: Floats

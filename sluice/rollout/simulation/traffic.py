"""Simulated traffic: rates, faults, signals, and the counts drawn from them."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sluice.config.policy import Policy
from sluice.rollout.evidence import Block

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Incident:
    """A time in which both arms fail at a rate of at least `errors`; seconds since the start."""

    start: float
    length: float
    errors: float

    def covers(self, seconds: Floats) -> NDArray[np.bool_]:
        """Whether each time is within the incident."""
        return (seconds >= self.start) & (seconds < self.start + self.length)


@dataclass(frozen=True)
class Drift:
    """A linear change of both arms' error rate to `errors`; seconds since the start."""

    errors: float
    start: float
    length: float

    def follow(self, rate: float, seconds: Floats) -> Floats:
        """Return the rate at each time."""
        share = np.clip((seconds - self.start) / self.length, 0, 1)
        return np.asarray(rate + share * (self.errors - rate))


@dataclass(frozen=True)
class Regression:
    """The candidate's faults from `start` on, in seconds since the rollout's start."""

    errors: float = 0.0
    """Added to the champion's error rate."""
    slowdown: float = 1.0
    """Factor on the time of each answer."""
    start: float = 0.0
    guardrails: float = 1.0
    """Factor on the rate of guardrail hits."""
    negatives: float = 1.0
    """Factor on the rate of negative feedback."""
    costs: float = 1.0
    """Factor on the cost of each request."""
    values: float = 1.0
    """Factor on the mean business value."""

    def has_begun(self, seconds: Floats) -> NDArray[np.bool_]:
        """Whether each time is at or after the start of the fault."""
        return np.asarray(seconds >= self.start)


@dataclass(frozen=True)
class Signals:
    """The champion's signals besides errors and latency."""

    guardrails: float = 0.002
    """Share of requests with a guardrail hit."""
    feedbacks: float = 0.02
    """Share of requests that get feedback, in the same block."""
    negatives: float = 0.1
    """Share of feedback that is negative."""
    cost_spread: float = 1.0
    """Standard deviation of a request's cost, in units of its mean."""
    valued: float = 0.1
    """Share of requests with a value of the business metric."""
    value: float = 0.5
    """Mean of those values, in units of the cap."""


@dataclass(frozen=True)
class Users:
    """Users who differ: traffic weights lognormal(0, `spread`), error rates Beta(a, b)."""

    count: int = 5000
    spread: float = 1.5
    a: float = 0.01
    b: float = 0.99
    balanced: bool = False
    """Whether shadow balance chooses the salt among eight; the rollout is held if none is fair."""


@dataclass(frozen=True)
class Traffic:
    """Simulated requests: Poisson counts, independent except for what is set here."""

    rate: float = 50.0
    """Requests per second, both arms together."""
    errors: float = 0.01
    """The champion's share of failed requests; replaced by the users' own rates, if any."""
    regression: Regression = field(default_factory=Regression)
    clustering: float = 0.0
    """Sigma of the lognormal factor on the error rate, drawn for each block."""
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
    """Guardrail hits, feedback and costs; None omits their rules."""

    def champion_errors(self, seconds: Floats) -> Floats:
        """Return the champion's error rate at each time, without clustering and users."""
        rate = np.full(seconds.shape, self.errors)
        if self.drift:
            rate = self.drift.follow(self.errors, seconds)
        if self.incident:
            inside = self.incident.covers(seconds)
            rate = np.where(inside, np.maximum(rate, self.incident.errors), rate)
        return rate

    def added_errors(self, seconds: Floats) -> Floats:
        """Return the candidate's added error rate at each time."""
        return np.where(self.regression.has_begun(seconds), self.regression.errors, 0.0)

    def slowdowns(self, seconds: Floats) -> Floats:
        """Return the factor on the candidate's latency at each time."""
        return np.where(self.regression.has_begun(seconds), self.regression.slowdown, 1.0)


@dataclass(frozen=True)
class BlockCounts:
    """One block of many rollouts: requests and failures by arm, one entry per rollout."""

    n_c: Floats
    k_c: Floats
    n_b: Floats
    k_b: Floats


SIGNALS = ("guardrail", "feedback", "cost", "business")
"""The rules that compare signals."""
NEEDS_USERS = ("feedback", "business")
"""Signals that need an answer which a user has seen."""
Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def choose_signals(policy: Policy, wanted: bool) -> tuple[str, ...]:
    """List the signals to draw: all if wanted, and business whenever the policy has it."""
    business = ("business",) if policy.rules.business != "none" else ()
    return (*SIGNALS[:3], *business) if wanted else business


class DrawnSignals:
    """Draws each block's signals of both arms, for the rules in `names`."""

    def __init__(
        self, signals: Signals, policy: Policy, names: tuple[str, ...], rng: np.random.Generator
    ) -> None:
        self.signals, self.names, self.rng = signals, names, rng
        self.cap = policy.rules.cost.cap

    def draw(
        self, counts: BlockCounts, fault: Regression, late: Floats, shadow: bool
    ) -> dict[str, Block]:
        """Return each rule's counts; `late` is 1 after the start of the fault, 0 before.

        In shadow no user sees the candidate's answers, so they get no feedback and no values.
        """
        draws = {
            "guardrail": (self._draw_guardrails, fault.guardrails),
            "feedback": (self._draw_feedback, fault.negatives),
            "cost": (self._draw_costs, fault.costs),
            "business": (self._draw_values, fault.values),
        }
        found = {}
        for name in self.names:
            draw, factor = draws[name]
            exposed = counts.n_c * (not shadow or name not in NEEDS_USERS)
            n_c, k_c = draw(exposed.astype(np.int64), 1 + late * (factor - 1))
            n_b, k_b = draw(counts.n_b.astype(np.int64), np.ones_like(late))
            found[name] = Block(n_c, k_c, n_b, k_b)
        return found

    def _draw_guardrails(self, requests: Integers, factor: Floats) -> tuple[Floats, Floats]:
        return self._count(requests, self.signals.guardrails * factor)

    def _draw_feedback(self, requests: Integers, factor: Floats) -> tuple[Floats, Floats]:
        given = self.rng.binomial(requests, self.signals.feedbacks)
        return self._count(given, self.signals.negatives * factor)

    def _draw_costs(self, requests: Integers, factor: Floats) -> tuple[Floats, Floats]:
        """Draw the sum of gamma-distributed costs, which is gamma-distributed itself."""
        shape = 1 / self.signals.cost_spread**2
        total = self.rng.gamma(np.maximum(requests * shape, 1e-9), factor / shape) / self.cap
        return requests.astype(float), np.where(requests > 0, np.minimum(total, requests), 0.0)

    def _draw_values(self, requests: Integers, factor: Floats) -> tuple[Floats, Floats]:
        """Draw each value as 0 or the cap, the distribution of that mean with most variance."""
        arrived = self.rng.binomial(requests, self.signals.valued)
        n, k = self._count(arrived, self.signals.value * factor)
        return n, n - k

    def _count(self, n: Integers, rate: Floats) -> tuple[Floats, Floats]:
        k = self.rng.binomial(n, np.clip(rate, 0, 1))
        return n.astype(float), k.astype(float)


class Arrivals(Protocol):
    """A source of blocks, independent of all decisions about them."""

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage of at most `blocks` blocks with the candidate's share of traffic."""

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Return the next block of the chosen rollouts; `clock` is each one's time in seconds."""


class DrawnArrivals:
    """Poisson requests and binomial failures at the traffic's rates.

    Weight 0 is shadow: both arms get every request. Weight 1 is the soak: the champion gets none.
    """

    def __init__(self, traffic: Traffic, seconds: float, rng: np.random.Generator) -> None:
        self.traffic, self.expected, self.rng = traffic, traffic.rate * seconds, rng
        self.weight = 0.0

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage with the candidate's share of traffic."""
        self.weight = weight

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Return the next block of the chosen rollouts."""
        rate_c, rate_b = self._cluster(len(runs), self.traffic.champion_errors(clock))
        rate_c = np.clip(rate_c + self.traffic.added_errors(clock), 0, 1)
        return draw_arms(self.rng, (self.expected, self.weight), rate_c, np.clip(rate_b, 0, 1))

    def _cluster(self, runs: int, rate: Floats) -> tuple[Floats, Floats]:
        sigma = self.traffic.clustering
        if not sigma:
            return rate, rate
        drawn = self.rng.standard_normal((1 if self.traffic.shared else 2, runs))
        factor = np.exp(sigma * drawn - sigma**2 / 2)
        return rate * factor[0], rate * factor[-1]


def draw_arms(
    rng: np.random.Generator, load: tuple[float, float], rate_c: Floats, rate_b: Floats
) -> BlockCounts:
    """Draw both arms' counts; `load` is the block's expected requests and the weight."""
    expected, weight = load
    shape = rate_b.shape
    if weight == 0:
        n_c = n_b = rng.poisson(expected, shape)
    else:
        n_c = rng.poisson(expected * weight, shape)
        n_b = rng.poisson(expected * (1 - weight), shape)
    k_c, k_b = rng.binomial(n_c, rate_c), rng.binomial(n_b, rate_b)
    return BlockCounts(*(np.asarray(item, dtype=float) for item in (n_c, k_c, n_b, k_b)))

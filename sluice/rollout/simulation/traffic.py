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
class BlockCounts:
    """One block of many rollouts: requests and failures by arm, one entry a rollout."""

    n_c: Floats
    k_c: Floats
    n_b: Floats
    k_b: Floats


SIGNALS = ("guardrail", "feedback", "cost", "business")
"""The rules that compare signals."""
ANSWERED = ("feedback", "business")
"""Signals that come of an answer which a user saw."""
Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def choose_signals(policy: Policy, asked: bool) -> tuple[str, ...]:
    """Name the signals to draw: those asked for, and business wherever the policy has it."""
    business = ("business",) if policy.rules.business != "none" else ()
    return (*SIGNALS[:3], *business) if asked else business


class DrawnSignals:
    """Each block's signals of both arms; `names` says which rules they are drawn for."""

    def __init__(
        self, signals: Signals, policy: Policy, names: tuple[str, ...], rng: np.random.Generator
    ) -> None:
        self.signals, self.names, self.rng = signals, names, rng
        self.cap = policy.rules.cost.cap

    def draw(
        self, counts: BlockCounts, fault: Regression, late: Floats, shadow: bool
    ) -> dict[str, Block]:
        """Give each rule's counts; `late` is 1 where the candidate's fault has begun, else 0.

        In shadow nobody sees the candidate's answers: no feedback and no values come of them.
        """
        draws = {
            "guardrail": (self._hit, fault.guardrails),
            "feedback": (self._complain, fault.negatives),
            "cost": (self._spend, fault.costs),
            "business": (self._lack, fault.values),
        }
        found = {}
        for name in self.names:
            draw, times = draws[name]
            seen = counts.n_c * (not shadow or name not in ANSWERED)
            n_c, k_c = draw(seen.astype(np.int64), 1 + late * (times - 1))
            n_b, k_b = draw(counts.n_b.astype(np.int64), np.ones_like(late))
            found[name] = Block(n_c, k_c, n_b, k_b)
        return found

    def _hit(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        return self._count(requests, self.signals.guardrails * times)

    def _complain(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        given = self.rng.binomial(requests, self.signals.feedbacks)
        return self._count(given, self.signals.negatives * times)

    def _spend(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        """Sum gamma-distributed costs: such sums are gamma-distributed themselves."""
        shape = 1 / self.signals.cost_spread**2
        total = self.rng.gamma(np.maximum(requests * shape, 1e-9), times / shape) / self.cap
        return requests.astype(float), np.where(requests > 0, np.minimum(total, requests), 0.0)

    def _lack(self, requests: Integers, times: Floats) -> tuple[Floats, Floats]:
        """Draw each value as 0 or the cap: of all values with that mean, the least certain."""
        arrived = self.rng.binomial(requests, self.signals.valued)
        n, k = self._count(arrived, self.signals.value * times)
        return n, n - k

    def _count(self, n: Integers, rate: Floats) -> tuple[Floats, Floats]:
        k = self.rng.binomial(n, np.clip(rate, 0, 1))
        return n.astype(float), k.astype(float)


class Arrivals(Protocol):
    """A source of blocks; it knows nothing of what is decided about them."""

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage of at most `blocks` blocks with the candidate's share of traffic."""

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Give the next block of the chosen rollouts; `clock` is each one's time in seconds."""


class DrawnArrivals:
    """Poisson requests and binomial failures at the traffic's rates.

    Weight 0 is shadow: both arms see every request. Weight 1 is the soak: the champion sees none.
    """

    def __init__(self, traffic: Traffic, seconds: float, rng: np.random.Generator) -> None:
        self.traffic, self.expected, self.rng = traffic, traffic.rate * seconds, rng
        self.weight = 0.0

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage with the candidate's share of traffic."""
        self.weight = weight

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Give the next block of the chosen rollouts."""
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

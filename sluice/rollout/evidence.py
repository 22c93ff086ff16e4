"""Evidence against a limit, from one block's e-value to the tests of a stage.

Read top-down: the limit (`Boundary`), the e-value of one block (`measure_block`), the test that
rolls back (`RollbackTest`), the tests that let a rollout advance (`PassTest`, `LimitTest`), and
the stages whose tests could never pass (`find_hopeless`).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.policy import PassRule, Policy, Stage

Numbers = float | NDArray[np.float64]
"""One figure, or an array with one per simulated rollout."""


# --- The limit ---


@dataclass(frozen=True)
class Boundary:
    """The candidate's limit as a line over the champion's rate: ratio * rate + margin.

    `ratio` > 0; `margin` >= 0 is in units of the rate (.005 is half a percentage point).
    """

    ratio: float
    margin: float

    def limit(self, champion: Numbers) -> NDArray[np.float64]:
        """Return the candidate's limit for a champion's rate in (0, 1); it may exceed 1."""
        return np.asarray(self.ratio * np.asarray(champion) + self.margin, dtype=float)


# --- The e-value of one block ---


class Side(StrEnum):
    """Where the alternatives lie: above the limit in a roll-back test, below it in a pass test."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class Block:
    """One control tick's counts by assigned arm: requests n and failures k, 0 <= k <= n.

    `c` is the candidate, `b` (baseline) the champion. k may be a sum of values in [0, 1]. Each
    is one figure, or an array with one entry per simulated rollout.
    """

    n_c: Numbers
    k_c: Numbers
    n_b: Numbers
    k_b: Numbers

    @property
    def is_empty(self) -> NDArray[np.bool_]:
        """Whether an arm had no request: such a block counts as a tick, without evidence."""
        return np.asarray((np.asarray(self.n_c) <= 0) | (np.asarray(self.n_b) <= 0))

    def deflate(self, rho: Numbers) -> "Block":
        """Return the block with smaller counts, to account for correlated failures.

        Each arm is divided by its design effect 1 + (n - 1) rho (Kish 1965).
        """
        effect_c = 1 + np.maximum(np.asarray(self.n_c) - 1, 0) * rho
        effect_b = 1 + np.maximum(np.asarray(self.n_b) - 1, 0) * rho
        return Block(
            self.n_c / effect_c, self.k_c / effect_c, self.n_b / effect_b, self.k_b / effect_b
        )


def measure_block(
    block: Block, boundary: Boundary, side: Side, q_c: Numbers, q_b: Numbers
) -> NDArray[np.float64]:
    """Return the natural logarithm of the block's e-value.

    It is the likelihood ratio of the rates (q_c, q_b), chosen before the block, to the nearest
    point of the boundary. Its expectation is at most 1 if the hypothesis holds, for any n and any
    influence that both arms share (Turner, Ly and Grünwald 2024). 0 if an arm is empty.

    Raises:
        ValueError: q_c lies on the hypothesis' side of the limit, where that bound does not hold.
    """
    limit = boundary.limit(q_b)
    wrong = np.asarray(q_c) <= limit if side is Side.ABOVE else np.asarray(q_c) >= limit
    if np.any(wrong):
        raise ValueError(f"the alternative must lie {side} the limit: found {q_c}, limit {limit}")
    p_c, p_b = project(boundary, block.n_c, block.n_b, q_c, q_b)
    candidate = measure_trials(block.n_c, block.k_c, q_c, p_c)
    champion = measure_trials(block.n_b, block.k_b, q_b, p_b)
    return np.where(block.is_empty, 0.0, candidate + champion)


EDGE = 1e-12
"""How close to 0 or 1 a rate on the boundary may come."""
STEPS = 80
"""Most steps to the root; Newton's take about six, halving the interval alone about sixty."""
NEGLIGIBLE = 1e-14
"""Relative move at which the root is as exact as a float can be."""


def project(
    boundary: Boundary, n_c: Numbers, n_b: Numbers, q_c: Numbers, q_b: Numbers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the boundary's point (p_c, p_b) that is nearest to the rates (q_c, q_b).

    Nearest in the Kullback-Leibler divergence of n_c and n_b Bernoulli trials. It is the reverse
    information projection onto a convex null hypothesis, which makes the likelihood ratio an
    e-value (Grünwald, de Heide and Koolen 2024; Turner, Ly and Grünwald 2024). The divergence's
    derivative along the line changes sign there: found by Newton's steps, or by halving the
    interval where a step would leave it. Arrays broadcast.
    """
    ratio, margin = boundary.ratio, boundary.margin
    arrays: list[Any] = [np.asarray(item, dtype=float) for item in (n_c, n_b, q_c, q_b)]
    n_c, n_b, q_c, q_b = np.broadcast_arrays(*arrays)
    top = min(1 - EDGE, (1 - margin) / ratio - EDGE)
    ends = np.clip([q_b, (q_c - margin) / ratio], EDGE, top)
    low, high = ends.min(axis=0), ends.max(axis=0)
    b = (low + high) / 2
    for _ in range(STEPS):
        p = ratio * b + margin
        inside_b, inside_p = b * (1 - b), p * (1 - p)
        value = n_c * ratio * (p - q_c) * inside_b + n_b * (b - q_b) * inside_p
        low, high = np.where(value < 0, b, low), np.where(value > 0, b, high)
        slope = n_c * ratio * (ratio * inside_b + (p - q_c) * (1 - 2 * b))
        slope += n_b * (inside_p + (b - q_b) * ratio * (1 - 2 * p))
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = b - value / slope
        fits = (guess >= low) & (guess <= high)
        after = np.where(value == 0, b, np.where(fits, guess, (low + high) / 2))
        moved = np.abs(after - b)
        b = after
        if np.all(moved <= NEGLIGIBLE * b):
            break
    return ratio * b + margin, b


def measure_trials(n: Numbers, k: Numbers, q: Numbers, p: Numbers) -> NDArray[np.float64]:
    """Return the log likelihood ratio of a rate q to a rate p, for k failures in n trials."""
    hits = k * (np.log(q) - np.log(p))
    misses = (np.asarray(n) - k) * (np.log1p(-np.asarray(q)) - np.log1p(-np.asarray(p)))
    return np.asarray(hits + misses, dtype=float)


def align(kept: NDArray[np.float64], chosen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add axes to values kept per alternative (first axis), to match those of `chosen`."""
    return kept.reshape(len(kept), *(1,) * (chosen.ndim - kept.ndim), *kept.shape[1:])


def average(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the mean over the alternatives (first axis), from logarithms."""
    return np.asarray(reduce(np.logaddexp, logarithms) - np.log(len(logarithms)))


# --- The roll-back test ---

EXCESSES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.10, 0.30)
"""How far above the limit the alternatives lie; one more follows the candidate's past rate."""
BETS = len(EXCESSES) + 1
HIGHEST = 0.98
"""Highest alternative; a limit from there on cannot be tested."""
NEAREST = 1e-4
"""Least distance from the limit to the alternative that follows the past rate."""
PRIOR = 100
"""Requests at the champion's rate with which the candidate's past rate starts."""
LOW_RATE = 1e-3
"""Stand-in for the champion's rate where no test is possible; its evidence is not used."""


def _first_bets() -> NDArray[np.float64]:
    return np.full(BETS, -np.log(2 * BETS))


@dataclass(frozen=True)
class RollbackTest:
    """A test of p_c <= limit in one stage of at most `blocks` blocks.

    Half of the initial wealth of 1 is bet at once on eight alternatives, half in equal parts over
    the stage's blocks, so that a fault that begins late is still found (Shafer 2021; Ramdas et al.
    2023). If the hypothesis holds, the wealth ever reaches 1/alpha with a probability of at most
    alpha, however often it is read (Ville 1939).
    """

    boundary: Boundary
    blocks: int
    t: int = 0
    log_bets: NDArray[np.float64] = field(default_factory=_first_bets)
    """Logarithm of the wealth on each alternative, shape (8, ...)."""
    first_rate: Numbers = 0.0
    """The champion's rate at the stage's first block."""
    requests: Numbers = 0.0
    failures: Numbers = 0.0
    """The candidate's requests and failures in the stage so far."""

    @property
    def log_wealth(self) -> NDArray[np.float64]:
        """Natural logarithm of the test's wealth; 0 at the start."""
        reserve = max(0.0, 1 - self.t / self.blocks) / 2
        with np.errstate(divide="ignore"):
            return np.asarray(reduce(np.logaddexp, self.log_bets, np.log(reserve)))

    def is_possible(self, rate: Numbers) -> NDArray[np.bool_]:
        """Whether there are alternatives above the limit, given the champion's rate."""
        return np.asarray(self.boundary.limit(rate) < HIGHEST)

    def update(
        self, block: Block, rate: Numbers, rho: Numbers, counting: bool = True
    ) -> "RollbackTest":
        """Return the test after one more block.

        `rate` and `rho` are the champion's from before the block. A block with an empty arm leaves
        the wealth as it is; one whose limit cannot be tested loses its share of the reserve. A
        block that does not count updates the bets without a tick and without a new share.
        """
        first = np.asarray(rate, dtype=float) if self.t == 0 else self.first_rate
        possible = self.is_possible(rate)
        rate = np.where(possible, rate, LOW_RATE)
        chosen = self._choose(self.boundary.limit(rate), np.asarray(first))
        evidence = measure_block(block.deflate(rho), self.boundary, Side.ABOVE, chosen, rate)
        share = 1 / (2 * BETS * self.blocks) if counting and self.t < self.blocks else 0.0
        before = align(self.log_bets, chosen)
        with np.errstate(divide="ignore"):
            grown = np.logaddexp(before, np.log(share)) + evidence
        return replace(
            self,
            t=self.t + counting,
            log_bets=np.where(possible, grown, before),
            first_rate=first,
            requests=self.requests + np.asarray(block.n_c),
            failures=self.failures + np.asarray(block.k_c),
        )

    def _choose(
        self, limit: NDArray[np.float64], first: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the alternatives, all above the limit, shape (8, ...)."""
        past = (self.failures + PRIOR * first) / (self.requests + PRIOR)
        followed = np.clip(past, np.minimum(limit + NEAREST, HIGHEST), HIGHEST)
        above = [np.minimum(limit + item, HIGHEST) for item in EXCESSES]
        return np.stack(np.broadcast_arrays(*above, followed))


# --- The pass tests ---

LOWEST = 1e-5
"""Lowest alternative; a limit up to there cannot be tested."""
SHARES = (0.15, 0.3, 0.5)
"""How far below the limit the alternatives lie, as shares of it, if there is no margin."""
BELOW = 0.3
"""How far below the champion's rate one alternative lies, as a share of it, with a margin."""
ALTERNATIVES = 3


def _no_evidence() -> NDArray[np.float64]:
    return np.zeros(ALTERNATIVES)


@dataclass(frozen=True)
class PassTest:
    """A test of p_c >= limit, started once and read at its current value.

    It passes at a value of 1/alpha. Reading a moving window instead would take the maximum of many
    tests, and would pass too often.
    """

    boundary: Boundary
    log_products: NDArray[np.float64] = field(default_factory=_no_evidence)
    """Logarithm of each alternative's product, shape (3, ...)."""

    @property
    def log_value(self) -> NDArray[np.float64]:
        """Natural logarithm of the test's value; 0 at its start."""
        return average(self.log_products)

    def is_possible(self, rate: Numbers) -> NDArray[np.bool_]:
        """Whether there are alternatives below the limit and it is below 1, given the rate."""
        limit = self.boundary.limit(rate)
        return np.asarray((limit > LOWEST) & (limit < HIGHEST))

    def update(self, block: Block, rate: Numbers, rho: Numbers) -> "PassTest":
        """Return the test after one more block.

        `rate` and `rho` are the champion's from before the block. A block with an empty arm, or a
        limit that cannot be tested, leaves the value as it is.
        """
        possible = self.is_possible(rate)
        rate = np.where(possible, rate, LOW_RATE)
        chosen = self._choose(rate)
        evidence = measure_block(block.deflate(rho), self.boundary, Side.BELOW, chosen, rate)
        before = align(self.log_products, chosen)
        return replace(self, log_products=before + np.where(possible, evidence, 0.0))

    def _choose(self, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the alternatives, all below the limit, shape (3, ...)."""
        limit = self.boundary.limit(rate)
        room = limit - rate
        if self.boundary.ratio == 1 and self.boundary.margin == 0:
            below = [share * rate for share in SHARES]
        else:
            below = [room, room / 2, room + BELOW * rate]
        return np.stack([np.maximum(limit - item, LOWEST) for item in below])


PARTS = (0.5, 0.25, 0.1)
"""The alternatives of the one-sample test, as parts of its limit."""


@dataclass(frozen=True)
class LimitTest:
    """A test of one arm's p >= `limit` alone: the mean of three likelihood ratios."""

    limit: float
    log_products: NDArray[np.float64] = field(default_factory=_no_evidence)

    @property
    def log_value(self) -> NDArray[np.float64]:
        """Natural logarithm of the test's value; 0 at its start."""
        return average(self.log_products)

    def update(self, n: Numbers, k: Numbers) -> "LimitTest":
        """Return the test after k failures in n more trials."""
        chosen = [part * self.limit for part in PARTS]
        evidence = np.stack([measure_trials(n, k, rate, self.limit) for rate in chosen])
        return replace(self, log_products=align(self.log_products, evidence) + evidence)


# --- Stages that could never pass ---

PLENTY = 10_000.0
"""Requests per second; more than any stage may rely on."""
FEWEST = 1e-4
"""The champion's error rate; lower than any stage may rely on."""
TAIL = 0.05
"""Share of a champion's requests that are slower than its P95."""
HopelessStage = tuple[tuple[int | str, ...], str]
"""Path of the key at fault in the policy, and the problem."""


def find_hopeless(policy: Policy) -> list[HopelessStage]:
    """List the pass tests of stages that could never pass, even with the most traffic."""
    found: list[HopelessStage] = []
    for place, stage in enumerate(policy.stages):
        for name in stage.passes:
            found += [
                (("stages", place, *key), words) for key, words in _check_stage(policy, stage, name)
            ]
    return found


def _check_stage(policy: Policy, stage: Stage, name: PassRule) -> list[HopelessStage]:
    needed = log(1 / policy.pass_alpha)
    first = policy.count_blocks(stage.min) // 2 + 1
    blocks = policy.count_blocks(stage.max) - first + 1
    requests = PLENTY * policy.block
    if name == "disagreement":
        limit = LimitTest(policy.rules.disagreement.limit).update(blocks * requests, 0.0)
        reached = float(limit.log_value)
    else:
        rate = TAIL if name == "latency_margin" else FEWEST
        boundary = read_boundary(policy, name)
        test = PassTest(boundary)
        if not bool(test.is_possible(rate)):
            words = f"{name} cannot be passed: its limit is {float(boundary.limit(rate)):.2g}"
            return [(("passes",), f"{words}; allowed: below .98 of the cap, above 1e-5")]
        n_c, n_b = blocks * requests * (stage.weight or 1), blocks * requests * (1 - stage.weight)
        good = rate if boundary.margin else rate / 2
        reached = float(test.update(Block(n_c, n_c * good, n_b, n_b * rate), rate, 0.0).log_value)
    if reached >= needed:
        return []
    words = (
        f"{name} cannot be passed by max, not even at {PLENTY:,.0f} requests/s; "
        "next: a longer max, or a wider limit"
    )
    return [(("max",), words)]


def read_boundary(policy: Policy, name: PassRule) -> Boundary:
    """Return the boundary that a pass test compares the candidate with."""
    business = policy.rules.business
    if name == "error_margin":
        return Boundary(1, policy.rules.error_margin.margin)
    if name == "business" and business != "none":
        return Boundary(1, business.margin / business.cap)
    return Boundary(1, 0)

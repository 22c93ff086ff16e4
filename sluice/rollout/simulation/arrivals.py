"""Where a block's counts come from: drawn from a description of traffic, one entry a rollout."""

from typing import Protocol

import numpy as np

from sluice.rollout.simulation.traffic import Counts, Floats, Indices, Traffic


class Arrivals(Protocol):
    """A source of blocks; it knows nothing of what is decided about them."""

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage of at most `blocks` blocks with the candidate's share of traffic."""

    def draw(self, runs: Indices, clock: Floats) -> Counts:
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

    def draw(self, runs: Indices, clock: Floats) -> Counts:
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
) -> Counts:
    """Draw both arms' counts; `load` is the block's expected requests and the weight."""
    expected, weight = load
    shape = rate_b.shape
    if weight == 0:
        n_c = n_b = rng.poisson(expected, shape)
    else:
        n_c = rng.poisson(expected * weight, shape)
        n_b = rng.poisson(expected * (1 - weight), shape)
    k_c, k_b = rng.binomial(n_c, rate_c), rng.binomial(n_b, rate_b)
    return Counts(*(np.asarray(item, dtype=float) for item in (n_c, k_c, n_b, k_b)))

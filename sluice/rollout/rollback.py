"""The roll-back test: evidence, gathered block by block, that the candidate is beyond a limit."""

from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.boundary import Boundary, Numbers
from sluice.rollout.evidence import Block, Side, align, weigh_block

EXCESSES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.10, 0.30)
"""How far above the limit the alternatives lie; one more follows the candidate's past rate."""
BETS = len(EXCESSES) + 1
HIGHEST = 0.98
"""No alternative is higher; a limit from there on cannot be tested."""
NEAREST = 1e-4
"""How close to the limit the alternative of the past rate may come."""
PRIOR = 100
"""Requests at the champion's rate that the candidate's past rate begins with."""
LOW_RATE = 1e-3
"""Stands for the champion's rate where no test is possible; its evidence is not used."""


def _first_bets() -> NDArray[np.float64]:
    return np.full(BETS, -np.log(2 * BETS))


@dataclass(frozen=True)
class RollbackTest:
    """A test of p_c <= limit in one stage of at most `blocks` blocks.

    Half of the wealth of 1 is bet at once on eight alternatives, half in equal parts over the
    stage's blocks, so that a fault which begins late meets fresh money (Shafer 2021; Ramdas et al.
    2023). Wealth of 1/alpha has probability at most alpha where the hypothesis holds, however often
    it is looked at (Ville 1939).
    """

    boundary: Boundary
    blocks: int
    t: int = 0
    log_bets: NDArray[np.float64] = field(default_factory=_first_bets)
    """Logarithm of the money on each alternative, shape (8, ...)."""
    first_rate: Numbers = 0.0
    """The champion's rate at the stage's first block."""
    requests: Numbers = 0.0
    failures: Numbers = 0.0

    @property
    def log_wealth(self) -> NDArray[np.float64]:
        """Natural logarithm of the test's wealth; 0 at the start."""
        rest = max(0.0, 1 - self.t / self.blocks) / 2
        with np.errstate(divide="ignore"):
            return np.asarray(reduce(np.logaddexp, self.log_bets, np.log(rest)))

    def is_possible(self, rate: Numbers) -> NDArray[np.bool_]:
        """Whether the limit leaves room above it, given the champion's rate."""
        return np.asarray(self.boundary.limit(rate) < HIGHEST)

    def update(
        self, block: Block, rate: Numbers, rho: Numbers, counting: bool = True
    ) -> "RollbackTest":
        """Give the test one block on; `rate` and `rho` are the champion's from before the block.

        A block with an empty arm leaves the wealth as it is; one whose limit cannot be tested
        spends its share of the money on nothing. One that does not count is bet on, without a tick
        and without fresh money.
        """
        first = np.asarray(rate, dtype=float) if self.t == 0 else self.first_rate
        possible = self.is_possible(rate)
        rate = np.where(possible, rate, LOW_RATE)
        chosen = self._choose(self.boundary.limit(rate), np.asarray(first))
        weighed = weigh_block(block.deflate(rho), self.boundary, Side.ABOVE, chosen, rate)
        share = 1 / (2 * BETS * self.blocks) if counting and self.t < self.blocks else 0.0
        before = align(self.log_bets, chosen)
        with np.errstate(divide="ignore"):
            grown = np.logaddexp(before, np.log(share)) + weighed
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
        """Give the alternatives, all above the limit, shape (8, ...)."""
        past = (self.failures + PRIOR * first) / (self.requests + PRIOR)
        followed = np.clip(past, np.minimum(limit + NEAREST, HIGHEST), HIGHEST)
        above = [np.minimum(limit + item, HIGHEST) for item in EXCESSES]
        return np.stack(np.broadcast_arrays(*above, followed))

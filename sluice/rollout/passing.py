"""The pass tests: evidence, from a stage's second half on, that the candidate is within a limit."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.boundary import Boundary, Numbers
from sluice.rollout.evidence import Block, Side, align, average, weigh_block, weigh_trials
from sluice.rollout.rollback import HIGHEST, LOW_RATE

LOWEST = 1e-5
"""No alternative is lower; a limit up to there cannot be tested."""
SHARES = (0.15, 0.3, 0.5)
"""How far below the limit the alternatives lie where the limit is the champion's own rate."""
BELOW = 0.3
ALTERNATIVES = 3
PARTS = (0.5, 0.25, 0.1)
"""The alternatives of the one-sample test, as parts of its limit."""


def _nothing() -> NDArray[np.float64]:
    return np.zeros(ALTERNATIVES)


@dataclass(frozen=True)
class PassTest:
    """A test of p_c >= limit, started once and read at its current value.

    It passes at a value of 1/alpha. A window that moved along with the reading would be a maximum
    of many tests and pass too often.
    """

    boundary: Boundary
    log_products: NDArray[np.float64] = field(default_factory=_nothing)
    """Logarithm of each alternative's product, shape (3, ...)."""

    @property
    def log_value(self) -> NDArray[np.float64]:
        """Natural logarithm of the test's value; 0 at its start."""
        return average(self.log_products)

    def is_possible(self, rate: Numbers) -> NDArray[np.bool_]:
        """Whether the limit leaves room below it and is one, given the champion's rate."""
        limit = self.boundary.limit(rate)
        return np.asarray((limit > LOWEST) & (limit < HIGHEST))

    def update(self, block: Block, rate: Numbers, rho: Numbers) -> "PassTest":
        """Give the test one block on; `rate` and `rho` are the champion's from before the block.

        A block with an empty arm, or a limit that cannot be tested, leaves the value as it is.
        """
        possible = self.is_possible(rate)
        rate = np.where(possible, rate, LOW_RATE)
        chosen = self._choose(rate)
        weighed = weigh_block(block.deflate(rho), self.boundary, Side.BELOW, chosen, rate)
        before = align(self.log_products, chosen)
        return replace(self, log_products=before + np.where(possible, weighed, 0.0))

    def _choose(self, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the alternatives, all below the limit, shape (3, ...)."""
        limit = self.boundary.limit(rate)
        room = limit - rate
        if self.boundary.ratio == 1 and self.boundary.margin == 0:
            below = [share * rate for share in SHARES]
        else:
            below = [room, room / 2, room + BELOW * rate]
        return np.stack([np.maximum(limit - item, LOWEST) for item in below])


@dataclass(frozen=True)
class LimitTest:
    """A test of one arm's p >= `limit` alone: the mean of three likelihood ratios."""

    limit: float
    log_products: NDArray[np.float64] = field(default_factory=_nothing)

    @property
    def log_value(self) -> NDArray[np.float64]:
        """Natural logarithm of the test's value; 0 at its start."""
        return average(self.log_products)

    def update(self, n: Numbers, k: Numbers) -> "LimitTest":
        """Give the test k of n trials on."""
        chosen = [part * self.limit for part in PARTS]
        weighed = np.stack([weigh_trials(n, k, rate, self.limit) for rate in chosen])
        return replace(self, log_products=align(self.log_products, weighed) + weighed)

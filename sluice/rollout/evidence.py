"""What one block of traffic says against a hypothesis about the candidate's rate: its e-value."""

from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.boundary import Boundary, Numbers, project


class Side(StrEnum):
    """Where the alternative lies: a roll-back test looks above the limit, a pass test below."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class Block:
    """One control tick's counts by assigned arm: requests n and failures k, 0 <= k <= n.

    `c` is the candidate, `b` (baseline) the champion. k may be a sum of values in [0, 1]. Each
    is one figure or an array, one entry a simulated rollout.
    """

    n_c: Numbers
    k_c: Numbers
    n_b: Numbers
    k_b: Numbers

    @property
    def is_empty(self) -> NDArray[np.bool_]:
        """Whether an arm saw nothing: such a block counts as a tick and says nothing."""
        return np.asarray((np.asarray(self.n_c) <= 0) | (np.asarray(self.n_b) <= 0))

    def deflate(self, rho: Numbers) -> "Block":
        """Give the block with the weight that correlated failures leave it.

        Each arm is divided by its design effect 1 + (n - 1) rho (Kish 1965).
        """
        effect_c = 1 + np.maximum(np.asarray(self.n_c) - 1, 0) * rho
        effect_b = 1 + np.maximum(np.asarray(self.n_b) - 1, 0) * rho
        return Block(
            self.n_c / effect_c, self.k_c / effect_c, self.n_b / effect_b, self.k_b / effect_b
        )


def weigh_block(
    block: Block, boundary: Boundary, side: Side, q_c: Numbers, q_b: Numbers
) -> NDArray[np.float64]:
    """Give the natural logarithm of the block's e-value.

    The likelihood ratio of the rates (q_c, q_b), chosen before the block, to the nearest point of
    the boundary. Its expectation is at most 1 wherever the hypothesis holds, at any n and whatever
    both arms share (Turner, Ly and Grünwald 2024). 0 where an arm is empty.

    Raises:
        ValueError: q_c lies on the hypothesis' own side of the limit, where the bound would fail.
    """
    limit = boundary.limit(q_b)
    wrong = np.asarray(q_c) <= limit if side is Side.ABOVE else np.asarray(q_c) >= limit
    if np.any(wrong):
        raise ValueError(f"the alternative must lie {side} the limit: found {q_c}, limit {limit}")
    p_c, p_b = project(boundary, block.n_c, block.n_b, q_c, q_b)
    candidate = weigh_trials(block.n_c, block.k_c, q_c, p_c)
    champion = weigh_trials(block.n_b, block.k_b, q_b, p_b)
    return np.where(block.is_empty, 0.0, candidate + champion)


def weigh_trials(n: Numbers, k: Numbers, q: Numbers, p: Numbers) -> NDArray[np.float64]:
    """Give the logarithm of the likelihood ratio of a rate q to a rate p, k failures of n."""
    hits = k * (np.log(q) - np.log(p))
    misses = (np.asarray(n) - k) * (np.log1p(-np.asarray(q)) - np.log1p(-np.asarray(p)))
    return np.asarray(hits + misses, dtype=float)


def align(kept: NDArray[np.float64], chosen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give what is kept per alternative (first axis) the number of axes that `chosen` has."""
    return kept.reshape(len(kept), *(1,) * (chosen.ndim - kept.ndim), *kept.shape[1:])


def average(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the logarithm of the mean over the alternatives (first axis), from logarithms."""
    return np.asarray(reduce(np.logaddexp, logarithms) - np.log(len(logarithms)))

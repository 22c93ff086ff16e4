"""The limit that a candidate's rate is held against, and its nearest point to what is expected."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = float | NDArray[np.float64]
"""One figure, or one a simulated rollout."""

EDGE = 1e-12
"""How close to 0 or 1 a rate of the boundary may come."""
STEPS = 60
"""Most steps to the root; halving alone would be as exact as a float by then."""
EXACT = 1e-14
"""A step this small, as a share of the rate, is the last."""


@dataclass(frozen=True)
class Boundary:
    """The candidate's limit as a line over the champion's rate: ratio times it, plus a margin.

    `ratio` > 0 and `margin` >= 0 are in units of the rate (.005 is half a percentage point).
    """

    ratio: float
    margin: float

    def limit(self, champion: Numbers) -> NDArray[np.float64]:
        """Give the candidate's limit for a champion's rate in (0, 1); it may exceed 1."""
        return np.asarray(self.ratio * np.asarray(champion) + self.margin, dtype=float)


def project(
    boundary: Boundary, n_c: Numbers, n_b: Numbers, q_c: Numbers, q_b: Numbers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the boundary's point (p_c, p_b) that is nearest to the rates (q_c, q_b).

    Nearest in the Kullback-Leibler divergence of n_c and n_b Bernoulli trials; the reverse
    information projection of a convex null, with which a likelihood ratio is an e-value (Grünwald,
    de Heide and Koolen 2024; Turner, Ly and Grünwald 2024). Found by Newton's steps on the
    divergence's derivative, which rises along the line; a step that would leave the interval that
    holds the root halves it instead. Arrays broadcast.
    """
    ratio, margin = boundary.ratio, boundary.margin
    arrays: list[Any] = [np.asarray(item, dtype=float) for item in (n_c, n_b, q_c, q_b)]
    n_c, n_b, q_c, q_b = np.broadcast_arrays(*arrays)
    top = min(1 - EDGE, (1 - margin) / ratio - EDGE)
    ends = np.clip([q_b, (q_c - margin) / ratio], EDGE, top)
    low, high = ends.min(axis=0), ends.max(axis=0)
    known_c = n_c * ratio**2 / np.maximum(q_c * (1 - q_c), EDGE)
    known_b = n_b / np.maximum(q_b * (1 - q_b), EDGE) + EDGE
    b = np.clip((known_c * ends[1] + known_b * ends[0]) / (known_c + known_b), low, high)
    for _ in range(STEPS):
        p = ratio * b + margin
        hit_c, miss_c, hit_b, miss_b = q_c / p, (1 - q_c) / (1 - p), q_b / b, (1 - q_b) / (1 - b)
        slope = n_c * ratio * (miss_c - hit_c) + n_b * (miss_b - hit_b)
        bend = n_c * ratio**2 * (miss_c / (1 - p) + hit_c / p) + n_b * (
            miss_b / (1 - b) + hit_b / b
        )
        rising = slope > 0
        high = np.where(rising, b, high)
        low = np.where(rising, low, b)
        stepped = b - slope / np.maximum(bend, EDGE)
        stepped = np.where((stepped >= low) & (stepped <= high), stepped, (low + high) / 2)
        moved = np.abs(stepped - b) > EXACT * b
        b = stepped
        if not np.any(moved):
            break
    return ratio * b + margin, b

"""The limit that a candidate's rate is held against, and its nearest point to what is expected."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = float | NDArray[np.float64]
"""One figure, or one a simulated rollout."""

EDGE = 1e-12
"""How close to 0 or 1 a rate of the boundary may come."""
STEPS = 80
"""Most steps to the root; Newton's take about six, halving the interval alone about sixty."""
NEGLIGIBLE = 1e-14
"""Relative move after which the root is as exact as a float can be."""


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
    de Heide and Koolen 2024; Turner, Ly and Grünwald 2024). It is where the divergence's derivative
    along the line changes sign: Newton's step where it stays between the signs seen so far, else
    half-way. Arrays broadcast.
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

"""Looks before the end that do not inflate errors: e-values of rates, and a confidence sequence.

A fixed test that is read again and again finds a difference between equal arms far too often: .17
with ten looks at .05, .32 with fifty. What stands here holds at all looks at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from sluice.rollout.evidence import Block, Boundary, Side, average, measure_block
from sluice.stats.experiments.means import UnitEstimate

BETS = (0.5, 1.0, 2.0)
"""Alternatives of the e-value, as multiples of the effect that was planned for."""
LEAST_CONTROL = 100
"""Units of the control whose rate must be known before a block is evidence."""
LEAST_LOOK = 100
"""Units in each arm before a confidence sequence is read: it is asymptotic."""


@dataclass(frozen=True)
class UnitBlock:
    """The units of both arms that entered in one span of time, and how many of them had the event.

    Spans are fixed beforehand, so that no look decides where a block ends.
    """

    units_a: int
    hits_a: int
    units_b: int
    hits_b: int


def measure_rates(blocks: Sequence[UnitBlock], effect: float, margin: float = 0.0) -> list[float]:
    """Return the log e-value, after each block, against "b's rate is at most a's + margin".

    The largest one may be read at any time: it reaches log(1/alpha) with probability alpha at most
    where the hypothesis holds (Ville; Turner, Ly and Grünwald 2024). The rates that it bets on come
    from the blocks before it: a's rate, and that plus margin plus .5, 1 or 2 times `effect`, and
    b's own. For the other direction exchange the arms.

    Raises:
        ValueError: the effect is not above 0.
    """
    if effect <= 0:
        raise ValueError(f"found an effect of {effect:g}; needed: more than 0")
    boundary, logs = Boundary(1.0, margin), np.zeros(len(BETS) + 1)
    seen = UnitBlock(0, 0, 0, 0)
    found = []
    for block in blocks:
        if seen.units_a >= LEAST_CONTROL:
            logs = logs + _measure(block, seen, boundary, effect)
        found.append(float(average(logs)))
        seen = _add(seen, block)
    return found


def _measure(
    block: UnitBlock, seen: UnitBlock, boundary: Boundary, effect: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rate = (seen.hits_a + 0.5) / (seen.units_a + 1)
    limit = rate + boundary.margin
    own = (seen.hits_b + 100 * limit) / (seen.units_b + 100)
    raw = np.array([*(limit + bet * effect for bet in BETS), own])
    top = 1 - 1e-6
    if limit + 1e-6 >= top:
        return np.zeros(len(raw))
    bets = np.clip(raw, limit + 1e-6, top)
    counts = Block(block.units_b, block.hits_b, block.units_a, block.hits_a)
    return measure_block(counts, boundary, Side.ABOVE, bets, rate)


def _add(one: UnitBlock, other: UnitBlock) -> UnitBlock:
    return UnitBlock(
        one.units_a + other.units_a,
        one.hits_a + other.hits_a,
        one.units_b + other.units_b,
        one.hits_b + other.hits_b,
    )


def find_p_value(logs: Sequence[float]) -> float:
    """Return the p-value that holds at any time: 1 by the largest e-value so far, 1 at most."""
    return min(1.0, exp(-max([0.0, *logs])))


def tune_sequence(units: int, alpha: float) -> float:
    """Return rho^2 of the confidence sequence that is narrowest at so many units.

    rho^2 n = -2 log(alpha) + log(-2 log(alpha) + 1), the close approximation of Waudby-Smith and
    others (2021).
    """
    depth = -2 * log(alpha)
    return (depth + log(depth + 1)) / max(1, units)


def find_reach(units: float, alpha: float, rho_squared: float) -> float:
    """Return the half-width of the confidence sequence in standard errors, at so many units.

    sqrt(2 (n rho^2 + 1) / (n rho^2) log(sqrt(n rho^2 + 1) / alpha)), two-sided (arXiv 2103.06476).
    At the planned n and alpha .05 it is 3.03, where a fixed test has 1.96.
    """
    depth = units * rho_squared
    return sqrt(2 * (depth + 1) / depth * log(sqrt(depth + 1) / alpha))


def bound_sequence(
    a: UnitEstimate, b: UnitEstimate, alpha: float, planned: int
) -> tuple[float, float] | None:
    """Return bounds of the difference b - a that hold at all looks at once; None: too early.

    Asymptotic: valid from about 100 units in each arm on. `planned` is the number of units at which
    they are narrowest.
    """
    if min(a.units, b.units) < LEAST_LOOK:
        return None
    reach = find_reach(a.units + b.units, alpha, tune_sequence(planned, alpha))
    half, difference = reach * sqrt(a.variance + b.variance), b.value - a.value
    return difference - half, difference + half


def stretch_units(alpha: float, power: float) -> float:
    """Return how many times more units a sequential experiment plans with than a fixed one.

    At its planned end it has the same power; it ends earlier where the effect is larger.
    """
    from scipy.stats import norm

    reach = find_reach(1, alpha, tune_sequence(1, alpha))
    more = float(norm.ppf(power))
    return ((reach + more) / (float(norm.isf(alpha / 2)) + more)) ** 2

"""Bounds of a rate, a mean score and a paired difference over the cases of an evaluation set.

A few cases that happen to agree make a bootstrap interval collapse. So each interval of a mean
includes one made-up case at each end of its scale, and fewer than 50 cases have no bounds.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sluice.stats.bootstrap import Estimate, Resampling

Floats = NDArray[np.float64]
ALPHA, POWER = 0.05, 0.8
FEWEST_CASES = 50
"""Fewest cases of a bootstrap or normal interval."""
MOST_CASES = 1_000_000
"""More cases than anybody has: a limit so near is not to be proved."""
_FIRST_SEARCH = 4096


def bound_rate(passed: int, n: int, alpha: float = ALPHA) -> Estimate:
    """Return the share of cases that pass with exact one-sided bounds (Clopper, Pearson 1934).

    Where all pass, or none, the bound is a root of alpha. Without cases nothing is known.
    """
    if n == 0:
        return Estimate(None, None, None, 0)
    rate = passed / n
    low, high = 0.0, 1.0
    if passed == n:
        low = alpha ** (1.0 / n)
    elif passed == 0:
        high = 1.0 - alpha ** (1.0 / n)
    else:
        from scipy.special import betaincinv

        low = float(betaincinv(passed, n - passed + 1, alpha))
        high = float(betaincinv(passed + 1, n - passed, 1.0 - alpha))
    return Estimate(rate, low, high, n, math.sqrt(rate * (1.0 - rate) / n))


def count_needed_cases(rate: float, limit: float) -> int | None:
    """Return the smallest n at which a true `rate` is proved above `limit` with power .8.

    The power is exact: the chance that the lower bound of `bound_rate` is above the limit. None
    where no number of cases, or more than a million, would do.
    """
    if rate <= limit:
        return None
    if rate == 1.0:  # the lower bound, a root of alpha, has to be above the limit
        return math.floor(math.log(ALPHA) / math.log(limit)) + 1
    from scipy.stats import binom

    normal = NormalDist()
    spread = normal.inv_cdf(1.0 - ALPHA) * math.sqrt(limit * (1.0 - limit))
    spread += normal.inv_cdf(POWER) * math.sqrt(rate * (1.0 - rate))
    near = (spread / (rate - limit)) ** 2
    if near > MOST_CASES:
        return None
    # The power rises in teeth; far from small n the normal approximation is near the first one.
    start, size = 1 if near < _FIRST_SEARCH else int(0.8 * near), _FIRST_SEARCH
    while start <= 2 * MOST_CASES:
        n = np.arange(start, start + size)
        largest_refused = binom.ppf(1.0 - ALPHA, n, limit)
        proved = binom.sf(largest_refused, n, rate) >= POWER
        if proved.any():
            return int(n[np.argmax(proved)])
        start, size = start + size, min(2 * size, 1 << 17)
    return None


def bound_mean(scores: Floats, draws: int, seed: int) -> Estimate:
    """Return the mean of scores between 0 and 1, shape (cases,), with one-sided 95 % bounds."""
    return _bound(scores, (0.0, 1.0), draws, seed)[0]


def bound_difference(differences: Floats, draws: int, seed: int) -> tuple[Estimate, float]:
    """Return the mean of paired differences, shape (cases,), and the p-value of a fall.

    Each difference lies between -1 and 1. The p-value is the share of draws whose mean is not
    below 0; it is 1 where there are too few cases.
    """
    return _bound(differences, (-1.0, 1.0), draws, seed)


def bound_ratio(numerators: Floats, denominators: Floats, draws: int, seed: int) -> Estimate:
    """Return the ratio of two means over the same cases, with one-sided 95 % bounds.

    Both have the shape (cases,); no made-up case is added, as costs have no upper end. The ratio
    has no bounds where the denominators are all 0.
    """
    n = len(numerators)
    if n == 0 or denominators.sum() <= 0.0:
        return Estimate(None, None, None, n)
    value = float(numerators.sum() / denominators.sum())
    if n < FEWEST_CASES:
        return Estimate(value, None, None, n)
    weights = draw_weights(n, draws, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (weights @ numerators) / (weights @ denominators)
    ratios = ratios[np.isfinite(ratios)]
    low, high = np.quantile(ratios, [ALPHA, 1.0 - ALPHA])
    return Estimate(value, float(low), float(high), n, float(ratios.std(ddof=1)))


@lru_cache(maxsize=4)
def draw_weights(units: int, draws: int, seed: int) -> Floats:
    """Return how often each draw contains each unit; shape (draws, units), not to be changed."""
    weights = np.concatenate(list(Resampling(units, draws, seed).draw_weights()))
    weights.flags.writeable = False
    return weights


def add_made_up(values: Floats, ends: tuple[float, float]) -> Floats:
    """Return the values with one made-up case at each end of their scale."""
    return np.concatenate([values, np.asarray(ends)])


def _bound(
    values: Floats, ends: tuple[float, float], draws: int, seed: int
) -> tuple[Estimate, float]:
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0), 1.0
    value = float(values.mean())
    if n < FEWEST_CASES:
        return Estimate(value, None, None, n), 1.0
    means = draw_weights(n + 2, draws, seed) @ add_made_up(values, ends) / (n + 2)
    low, high = np.quantile(means, [ALPHA, 1.0 - ALPHA])
    estimate = Estimate(value, float(low), float(high), n, float(means.std(ddof=1)))
    return estimate, float((means >= 0.0).mean())

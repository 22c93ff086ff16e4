"""Two rates compared: the pooled z-test, Newcombe's interval, and Fisher's test of small counts."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

LEAST_EXPECTED = 5.0
"""Expected units in a cell below which Fisher's exact test stands in for the z-test."""


@dataclass(frozen=True)
class RateComparison:
    """Rates of the control (a) and the treatment (b), each 0 to 1, and their difference b - a.

    `lift` is (b - a) / a; None where the control's rate is 0. `low` and `high` bound the
    difference. `method` is the test that gave the p-value.
    """

    rate_a: float
    rate_b: float
    difference: float
    low: float
    high: float
    lift: float | None
    z_score: float
    p_value: float
    significant: bool
    method: Literal["z", "fisher"]


def compare_rates(
    hits_a: int, units_a: int, hits_b: int, units_b: int, alpha: float = 0.05
) -> RateComparison:
    """Compare two rates, two-sided: the pooled z-test, and Fisher's below 5 expected in a cell.

    The interval is Newcombe's (1998, method 10): Wilson's intervals of both rates, combined. Equal
    extremes (0 of both, or all of both) are no difference: z is 0 and p is 1.
    `compare_rates(200, 2000, 260, 2000)` has a lift of .30 and p = .0029.

    Raises:
        ValueError: an arm has no unit, or a count is negative or above its total.
    """
    for name, hits, units in (("a", hits_a, units_a), ("b", hits_b, units_b)):
        if units <= 0 or not 0 <= hits <= units:
            raise ValueError(
                f"arm {name}: found {hits} of {units}; allowed: at least one unit, and counts from "
                "0 to their total"
            )
    from scipy.stats import fisher_exact, norm

    rate_a, rate_b = hits_a / units_a, hits_b / units_b
    pooled = (hits_a + hits_b) / (units_a + units_b)
    error = sqrt(pooled * (1 - pooled) * (1 / units_a + 1 / units_b))
    score = (rate_b - rate_a) / error if error else 0.0
    p_value, method = float(2 * norm.sf(abs(score))), "z"
    if error and min(units_a, units_b) * min(pooled, 1 - pooled) < LEAST_EXPECTED:
        table = [[hits_a, units_a - hits_a], [hits_b, units_b - hits_b]]
        p_value, method = float(fisher_exact(table).pvalue), "fisher"
    low, high = bound_rates(hits_a, units_a, hits_b, units_b, alpha)
    return RateComparison(
        rate_a=rate_a,
        rate_b=rate_b,
        difference=rate_b - rate_a,
        low=low,
        high=high,
        lift=(rate_b - rate_a) / rate_a if rate_a else None,
        z_score=score,
        p_value=min(1.0, p_value),
        significant=p_value < alpha,
        method="fisher" if method == "fisher" else "z",
    )


def bound_rates(
    hits_a: int, units_a: int, hits_b: int, units_b: int, alpha: float = 0.05
) -> tuple[float, float]:
    """Return Newcombe's interval of the difference b - a, two-sided at `alpha`."""
    (low_a, high_a), (low_b, high_b) = (
        _bound_rate(hits_a, units_a, alpha),
        _bound_rate(hits_b, units_b, alpha),
    )
    rate_a, rate_b = hits_a / units_a, hits_b / units_b
    difference = rate_b - rate_a
    below = sqrt((rate_b - low_b) ** 2 + (high_a - rate_a) ** 2)
    above = sqrt((high_b - rate_b) ** 2 + (rate_a - low_a) ** 2)
    return difference - below, difference + above


def _bound_rate(hits: int, units: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's interval of one rate."""
    from scipy.stats import norm

    z = float(norm.isf(alpha / 2))
    rate, square = hits / units, z * z
    middle = (rate + square / (2 * units)) / (1 + square / units)
    half = z * sqrt(rate * (1 - rate) / units + square / (4 * units**2)) / (1 + square / units)
    return max(0.0, middle - half), min(1.0, middle + half)

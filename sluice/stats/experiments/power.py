"""How many units an experiment needs, and what effect its traffic could find."""

from math import ceil, sqrt


def count_units(
    effect: float,
    variances: tuple[float, float],
    weight: float,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Return the units, both arms together, with which an effect is found with this power.

    Two-sided normal test: N = (z_(1-alpha/2) + z_power)^2 (v_a / (1-w) + v_b / w) / effect^2.
    `variances` are those of one unit in the control and the treatment, `weight` is the treatment's
    share of units, `effect` the absolute difference.
    `count_units(.5, (1, 1), .5)` is 126: 63 an arm, as in Cohen's tables.

    Raises:
        ValueError: the effect is 0, the weight is not between 0 and 1, or nothing varies.
    """
    spread = _spread(variances, weight)
    if not effect or spread <= 0:
        raise ValueError(
            f"found an effect of {effect:g} and variances {variances[0]:g} and {variances[1]:g}; "
            "needed: an effect other than 0, and units that differ"
        )
    return max(4, ceil(_reach(alpha, power) ** 2 * spread / effect**2))


def find_effect(
    units: float,
    variances: tuple[float, float],
    weight: float,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest absolute effect that so many units find with this power.

    Raises:
        ValueError: there is no unit, or the weight is not between 0 and 1.
    """
    if units <= 0:
        raise ValueError(f"found {units:g} units; needed: more than 0")
    return _reach(alpha, power) * sqrt(_spread(variances, weight) / units)


def find_power(
    effect: float, units: float, variances: tuple[float, float], weight: float, alpha: float = 0.05
) -> float:
    """Return the probability that so many units find an absolute effect, two-sided.

    Raises:
        ValueError: there is no unit, the weight is not between 0 and 1, or nothing varies.
    """
    from scipy.stats import norm

    spread = _spread(variances, weight)
    if units <= 0 or spread <= 0:
        raise ValueError(f"found {units:g} units and a variance of {spread:g}; needed: more than 0")
    shift, edge = abs(effect) / sqrt(spread / units), float(norm.isf(alpha / 2))
    return float(norm.sf(edge - shift) + norm.cdf(-edge - shift))


def _reach(alpha: float, power: float) -> float:
    """Return how many standard errors an effect must be away to be found with this power."""
    from scipy.stats import norm

    return float(norm.isf(alpha / 2) + norm.ppf(power))


def _spread(variances: tuple[float, float], weight: float) -> float:
    if not 0 < weight < 1:
        raise ValueError(f"found a weight of {weight:g}; allowed: between 0 and 1")
    return variances[0] / (1 - weight) + variances[1] / weight

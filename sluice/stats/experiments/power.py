"""How many units an experiment needs, and what effect its traffic could find."""

from math import ceil, sqrt


def count_units(
    effect: float,
    variances: tuple[float, float],
    weight: float,
    alpha: float = 0.05,
    power: float = 0.8,
    pooled: float | None = None,
) -> int:
    """Return the units, both arms together, with which an effect is found with this power.

    Two-sided normal test: N = (z_(1-alpha/2) s_0 + z_power s_1)^2 / effect^2, where s_1^2 is
    v_a / (1-w) + v_b / w and s_0^2 the same of the variance by which the test judges (Fleiss 1981).
    `variances` are those of one unit in the control and the treatment, `weight` is the treatment's
    share of units, `effect` the absolute difference. `pooled` is the one variance that a test of
    rates takes for both arms; None: the test takes each arm's own.

    What the normal distribution leaves out is added. For rates, whose counts are whole numbers:
    about 1 / (w (1-w) effect) units (Fleiss, Tytun and Ury 1980). Else, as variances are estimated:
    z_(1-alpha/2)^2 / 2 units by Welch's degrees of freedom for each unit (Guenther 1981).
    `count_units(.5, (1, 1), .5)` is 128: 64 an arm, as in Cohen's tables.

    Raises:
        ValueError: the effect is 0, the weight is not between 0 and 1, or nothing varies.
    """
    spread = _spread(variances, weight)
    if not effect or spread <= 0:
        raise ValueError(
            f"found an effect of {effect:g} and variances {variances[0]:g} and {variances[1]:g}; "
            "needed: an effect other than 0, and units that differ"
        )
    units = (_reach(variances, weight, alpha, power, pooled) / effect) ** 2
    if pooled is not None:
        steps = 2 / (units * weight * (1 - weight) * abs(effect))
        units *= (1 + sqrt(1 + steps)) ** 2 / 4
    else:
        units += _count_estimated(variances, weight, alpha)
    return max(4, ceil(units))


def find_effect(
    units: float,
    variances: tuple[float, float],
    weight: float,
    alpha: float = 0.05,
    power: float = 0.8,
    pooled: float | None = None,
) -> float:
    """Return the smallest absolute effect that so many units find with this power.

    Raises:
        ValueError: there is no unit, or the weight is not between 0 and 1.
    """
    if units <= 0:
        raise ValueError(f"found {units:g} units; needed: more than 0")
    return _reach(variances, weight, alpha, power, pooled) / sqrt(units)


def find_power(
    effect: float,
    units: float,
    variances: tuple[float, float],
    weight: float,
    alpha: float = 0.05,
    pooled: float | None = None,
) -> float:
    """Return the probability that so many units find an absolute effect, two-sided.

    Raises:
        ValueError: there is no unit, the weight is not between 0 and 1, or nothing varies.
    """
    from scipy.stats import norm

    spread = _spread(variances, weight)
    if units <= 0 or spread <= 0:
        raise ValueError(f"found {units:g} units and a variance of {spread:g}; needed: more than 0")
    error = sqrt(spread / units)
    edge = float(norm.isf(alpha / 2)) * sqrt(_judge(variances, weight, pooled) / units)
    return float(norm.sf((edge - abs(effect)) / error) + norm.cdf((-edge - abs(effect)) / error))


def _reach(
    variances: tuple[float, float], weight: float, alpha: float, power: float, pooled: float | None
) -> float:
    """Return the effect that one unit would find; so many units find it by their square root."""
    from scipy.stats import norm

    tested = float(norm.isf(alpha / 2)) * sqrt(_judge(variances, weight, pooled))
    return tested + float(norm.ppf(power)) * sqrt(_spread(variances, weight))


def _count_estimated(variances: tuple[float, float], weight: float, alpha: float) -> float:
    """Return the units that replace what is lost by estimating the variances."""
    from scipy.stats import norm

    parts = variances[0] ** 2 / (1 - weight) ** 3 + variances[1] ** 2 / weight**3
    degrees = _spread(variances, weight) ** 2 / parts
    return float(norm.isf(alpha / 2)) ** 2 / 2 / degrees


def _judge(variances: tuple[float, float], weight: float, pooled: float | None) -> float:
    return _spread(variances if pooled is None else (pooled, pooled), weight)


def _spread(variances: tuple[float, float], weight: float) -> float:
    if not 0 < weight < 1:
        raise ValueError(f"found a weight of {weight:g}; allowed: between 0 and 1")
    return variances[0] / (1 - weight) + variances[1] / weight

"""Whether the arms got the shares that they were meant to get."""

from math import log

CONCENTRATION = 100.0
"""Weight of the prior around the wanted share, in units."""
THRESHOLD = log(1000)


def weigh_ratio(candidate: int, champion: int, weight: float) -> float:
    """Give the logarithm of the evidence that units were not assigned with the wanted weight.

    `candidate` and `champion` count the stage's distinct units, `weight` is in (0, 1). The Bayes
    factor of a beta-binomial against the binomial, valid at any time (Lindon and Malek 2022).

    Raises:
        ValueError: the weight is not between 0 and 1, or a count is negative.
    """
    if not 0 < weight < 1 or candidate < 0 or champion < 0:
        raise ValueError(
            f"found weight {weight:g} and {candidate} and {champion} units; allowed: a weight "
            "between 0 and 1, and counts"
        )
    from scipy.special import betaln

    a, b = CONCENTRATION * weight, CONCENTRATION * (1 - weight)
    seen = betaln(a + candidate, b + champion) - betaln(a, b)
    return float(seen - candidate * log(weight) - champion * log(1 - weight))

"""Whether the arms are balanced: the shadow balance of a salt, and the sample ratio of a stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

SALTS = 8
"""How many salts are tried."""

ERRORS = 3.0
"""Standard errors by which the arms may differ."""


@dataclass(frozen=True)
class Balance:
    """How far the future arms' failure rates differ under the champion, for one salt and weight."""

    salt: str
    weight: float
    difference: float
    error: float
    """Standard error of the difference if requests were independent."""
    limit: float

    @property
    def is_fair(self) -> bool:
        """Whether the difference is small enough for the tests."""
        return abs(self.difference) <= self.limit


def measure_balance(
    places: NDArray[np.float64],
    requests: NDArray[np.float64],
    failures: NDArray[np.float64],
    split: tuple[str, float],
    margin: float,
) -> Balance:
    """Compare the future arms on the champion's answers; `split` is a salt and a weight.

    Arrays have one entry per unit. The limit is half the margin, or three standard errors of
    independent requests if that is more: users who always fail and send many requests push the
    difference far beyond those.
    """
    salt, weight = split
    inside = places < weight
    n_c, n_b = float(requests[inside].sum()), float(requests[~inside].sum())
    if n_c <= 0 or n_b <= 0:
        return Balance(salt, weight, float("inf"), float("inf"), margin / 2)
    k_c, k_b = float(failures[inside].sum()), float(failures[~inside].sum())
    pooled = (k_c + k_b) / (n_c + n_b)
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / n_c + 1 / n_b)))
    return Balance(salt, weight, k_c / n_c - k_b / n_b, error, max(margin / 2, ERRORS * error))


def choose_salt(found: Sequence[Balance]) -> str:
    """Return the first salt that is fair at every measured weight; empty if none is."""
    unfair = {item.salt for item in found if not item.is_fair}
    return next((item.salt for item in found if item.salt not in unfair), "")


CONCENTRATION = 100.0
"""Weight of the prior around the intended share, in units."""
THRESHOLD = log(1000)


def compare_ratio(candidate: int, champion: int, weight: float) -> float:
    """Return the log evidence of a sample ratio mismatch: units not assigned by the weight.

    `candidate` and `champion` count the stage's distinct units, `weight` is in (0, 1). It is the
    Bayes factor of a beta-binomial against the binomial, valid at any time (Lindon and Malek 2022).

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
    marginal = betaln(a + candidate, b + champion) - betaln(a, b)
    return float(marginal - candidate * log(weight) - champion * log(1 - weight))

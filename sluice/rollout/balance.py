"""Whether the arms are balanced: equal in shadow, and with the shares that were meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import log

import numpy as np
from numpy.typing import NDArray

SALTS = 8
BITS = 52
ERRORS = 3.0


@dataclass(frozen=True)
class Balance:
    """How far apart the arms-to-be fail under the champion, at one weight under one salt."""

    salt: str
    weight: float
    difference: float
    error: float
    """Standard error of the difference, were requests independent."""
    limit: float

    @property
    def is_fair(self) -> bool:
        """Whether the difference is one that the tests can bear."""
        return abs(self.difference) <= self.limit


def assign(salt: str, unit: str) -> float:
    """Give a unit's place in [0, 1); it is the candidate's while that is below the weight."""
    digest = sha256(f"{salt}:{unit}".encode()).digest()
    return float((int.from_bytes(digest[:8], "big") >> (64 - BITS)) / 2**BITS)


def measure_balance(
    places: NDArray[np.float64],
    requests: NDArray[np.float64],
    failures: NDArray[np.float64],
    split: tuple[str, float],
    margin: float,
) -> Balance:
    """Compare the arms-to-be on the champion's answers: one row a unit, `split` salt and weight.

    The limit is half the margin, or three standard errors of independent requests where that is
    more: users who always fail and ask often push the difference far beyond those.
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
    """Give the first salt that is fair at each weight it was measured at; empty where none is."""
    unfair = {item.salt for item in found if not item.is_fair}
    return next((item.salt for item in found if item.salt not in unfair), "")


CONCENTRATION = 100.0
"""Weight of the prior around the wanted share, in units."""
THRESHOLD = log(1000)


def compare_ratio(candidate: int, champion: int, weight: float) -> float:
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

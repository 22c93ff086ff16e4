"""The watch over a candidate that has all traffic: alarms against limits that are frozen."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.boundary import Numbers
from sluice.rollout.breaker import ALTERNATIVES, LIMIT, THRESHOLD
from sluice.rollout.evidence import align, average, weigh_trials
from sluice.rollout.rollback import HIGHEST

FACTORS = tuple(rate / LIMIT for rate in ALTERNATIVES)


@dataclass(frozen=True)
class Alarm:
    """The breaker's e-CUSUM of p <= `limit`, fed by blocks: k of n at a time."""

    limit: float
    sums: NDArray[np.float64]

    @classmethod
    def begin(cls, limit: float) -> "Alarm":
        """Give a quiet alarm against a limit in (0, .98)."""
        return cls(limit, np.zeros(len(FACTORS)))

    @property
    def log_evidence(self) -> NDArray[np.float64]:
        """Natural logarithm of the evidence that the rate is above the limit."""
        return average(self.sums)

    @property
    def is_raised(self) -> NDArray[np.bool_]:
        """Whether the evidence is enough to act."""
        return np.asarray(self.log_evidence >= THRESHOLD)

    def update(self, n: Numbers, k: Numbers) -> "Alarm":
        """Give the alarm one block on."""
        rates = [min(factor * self.limit, (self.limit + 1) / 2, HIGHEST) for factor in FACTORS]
        steps = np.stack([weigh_trials(n, k, rate, self.limit) for rate in rates])
        return replace(self, sums=np.maximum(align(self.sums, steps), 0) + steps)

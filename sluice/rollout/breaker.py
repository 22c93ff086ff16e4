"""The circuit breaker: trips, request by request, on an arm that fails far too often."""

from dataclasses import dataclass, replace
from math import exp, log, log1p

LIMIT = 0.05
"""Share of failures that is still borne."""
ALTERNATIVES = (0.12, 0.25, 0.5, 0.9)
THRESHOLD = log(1e4)
ON_FAILURE = tuple(log(rate / LIMIT) for rate in ALTERNATIVES)
ON_SUCCESS = tuple(log1p(-rate) - log1p(-LIMIT) for rate in ALTERNATIVES)


@dataclass(frozen=True)
class Breaker:
    """An e-CUSUM of p <= .05: a running sum an alternative, begun anew where it fell below 0.

    The mean of four such sums, started at every request, is an e-detector: at a rate of .05 it
    takes 10,000 requests on average, at least, to a false trip (Shin, Ramdas and Rinaldo 2024).
    """

    sums: tuple[float, ...] = (0.0,) * len(ALTERNATIVES)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence that the rate is above the limit; below 0 is quiet."""
        top = max(self.sums)
        return top + log(sum(exp(item - top) for item in self.sums) / len(self.sums))

    @property
    def is_tripped(self) -> bool:
        """Whether the evidence is enough to cut the arm off."""
        return self.log_evidence >= THRESHOLD

    def observe(self, failed: bool) -> "Breaker":
        """Give the breaker one completed request on."""
        steps = ON_FAILURE if failed else ON_SUCCESS
        pairs = zip(self.sums, steps, strict=True)
        return replace(self, sums=tuple(max(item, 0.0) + step for item, step in pairs))

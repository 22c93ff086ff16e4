"""The circuit breaker's test: per request, whether an arm fails far too often."""

from dataclasses import dataclass, replace
from math import exp, log, log1p

LIMIT = 0.05
"""Share of failures that is still accepted."""
ALTERNATIVES = (0.12, 0.25, 0.5, 0.9)
THRESHOLD = log(1e4)
ON_FAILURE = tuple(log(rate / LIMIT) for rate in ALTERNATIVES)
ON_SUCCESS = tuple(log1p(-rate) - log1p(-LIMIT) for rate in ALTERNATIVES)


@dataclass(frozen=True)
class Breaker:
    """An e-CUSUM of p <= .05: one running sum per alternative, restarted when it falls below 0.

    The mean of four such sums, started at every request, is an e-detector: at a rate of .05 a
    false trip takes at least 10,000 requests on average (Shin, Ramdas and Rinaldo 2024).
    """

    sums: tuple[float, ...] = (0.0,) * len(ALTERNATIVES)

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the evidence for a rate above the limit; below 0 means none."""
        top = max(self.sums)
        return top + log(sum(exp(item - top) for item in self.sums) / len(self.sums))

    @property
    def is_tripped(self) -> bool:
        """Whether the evidence is enough to stop the arm's traffic."""
        return self.log_evidence >= THRESHOLD

    def observe(self, failed: bool) -> "Breaker":
        """Return the breaker after one more completed request."""
        steps = ON_FAILURE if failed else ON_SUCCESS
        pairs = zip(self.sums, steps, strict=True)
        return replace(self, sums=tuple(max(item, 0.0) + step for item, step in pairs))

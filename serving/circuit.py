"""One arm's circuit: closed until its breaker trips, then open, then tried with single requests.

Times are seconds of one monotonic clock, which all workers of a machine share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sluice.rollout.breaker import Breaker

FIRST_WAIT, LONGEST_WAIT = 30.0, 600.0
PROBE_SECONDS = 1.0
SUCCESSES = 20


class Admission(StrEnum):
    """Whether an arm may have a request."""

    YES = "yes"
    PROBE = "probe"
    """One request of an open arm, to see how it is."""
    NO = "no"


@dataclass(frozen=True)
class Circuit:
    """The state of one arm, for all workers of a replica."""

    breaker: Breaker = field(default_factory=Breaker)
    opened: float | None = None
    """When it was opened last; None while it is closed."""
    wait: float = FIRST_WAIT
    """Seconds without a request after that; doubled by each probe that fails."""
    probed: float = float("-inf")
    successes: int = 0
    trips: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether all its requests may pass."""
        return self.opened is None

    def admit(self, now: float) -> tuple[Admission, "Circuit"]:
        """Tell whether a request may pass now; an open arm gets one a second after its wait."""
        if self.opened is None:
            return Admission.YES, self
        if now < max(self.opened, self.probed):  # the machine was started again
            return Admission.NO, replace(self, opened=now, probed=now)
        if now < self.opened + self.wait or now < self.probed + PROBE_SECONDS:
            return Admission.NO, self
        return Admission.PROBE, replace(self, probed=now)

    def observe(self, failures: Sequence[bool], now: float) -> "Circuit":
        """Give the circuit after completed requests, each failed or not; no probes."""
        breaker = self.breaker
        if self.opened is not None:  # admitted before it opened: too late to tell anything
            return self
        for failed in failures:
            breaker = breaker.observe(failed)
            if breaker.is_tripped:
                return Circuit(breaker, now, trips=self.trips + 1)
        return replace(self, breaker=breaker)

    def observe_probe(self, failed: bool, now: float) -> "Circuit":
        """Give the circuit after a probe: 20 good ones close it, a failed one opens it anew."""
        if self.opened is None or now < self.opened + self.wait:
            return self
        if failed:
            wait = min(2 * self.wait, LONGEST_WAIT)
            return replace(self, opened=now, wait=wait, successes=0)
        if self.successes + 1 >= SUCCESSES:
            return Circuit(trips=self.trips)
        return replace(self, successes=self.successes + 1)

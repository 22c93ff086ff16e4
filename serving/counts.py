"""What one arm did, as whole numbers: sums that come out the same in any order."""

from math import isfinite
from typing import NamedTuple

import msgspec

from serving.record import Answer, AssignedArm, Feedback, Shadow
from sluice.rollout.latency import bucket_of

PARTS = 1_000_000
"""Shares of a cap are counted in millionths."""
FASTEST_MS, SLOWEST_MS = 0.001, 1e7
NO_STAGE = -1.0


class Key(NamedTuple):
    """Whose counts they are; `stage` is the weight that an arm-to-be is taken at, in shadow."""

    service: str
    version: int
    arm: AssignedArm
    epoch: int
    stage: float = NO_STAGE


class Counts(msgspec.Struct):
    """One key's counts since its worker began; nothing in it ever becomes smaller."""

    requests: int = 0
    failures: int = 0
    latencies: dict[int, int] = {}
    """Answered requests by bucket of sluice.rollout.latency."""
    latency_us: int = 0
    guardrails: int = 0
    feedbacks: int = 0
    negatives: int = 0
    priced: int = 0
    cost: int = 0
    """Sum of min(cost, cap) / cap in millionths, over the priced."""
    spent: int = 0
    """Sum of the costs themselves in millionths."""
    valued: int = 0
    lack: int = 0
    """Sum of 1 - min(value, cap) / cap in millionths, over the valued."""
    compared: int = 0
    differing: int = 0
    fallbacks: int = 0

    def add_call(self, call: Answer | Shadow) -> None:
        """Count one call of the arm."""
        self.requests += 1
        if call.failed:
            self.failures += 1
        else:
            bucket = find_bucket(call.latency_ms)
            self.latencies[bucket] = self.latencies.get(bucket, 0) + 1
            self.latency_us += round(1000 * _bound(call.latency_ms))
        if call.guardrail:
            self.guardrails += 1
        if call.cost is not None:
            self._add_cost(call.cost, call.cost_cap)

    def add_comparison(self, differs: bool | None) -> None:
        """Count whether the candidate's answer was the champion's; None is not compared."""
        if differs is not None:
            self.compared += 1
            self.differing += differs

    def add_feedback(self, told: Feedback) -> None:
        """Count what a caller told, as far as the record says that it counts."""
        if told.rates and told.rating is not None:
            self.feedbacks += 1
            self.negatives += told.rating < 0
        if told.values and told.value is not None and told.value_cap > 0:
            self.valued += 1
            self.lack += PARTS - find_share(told.value, told.value_cap)

    def add_counts(self, other: "Counts") -> None:
        """Count everything that another has."""
        for name in self.__struct_fields__:
            if name != "latencies":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for bucket, requests in other.latencies.items():
            self.latencies[bucket] = self.latencies.get(bucket, 0) + requests

    def _add_cost(self, cost: float, cap: float) -> None:
        if isfinite(cost):
            self.spent += round(PARTS * max(cost, 0.0))
        if cap > 0:
            self.priced += 1
            self.cost += find_share(cost, cap)


def find_bucket(milliseconds: float) -> int:
    """Give the bucket of a latency, the ends of what can be measured included."""
    return bucket_of(_bound(milliseconds))


def find_share(value: float, cap: float) -> int:
    """Give a value as millionths of its cap, from 0 to all; what is no number counts as the cap."""
    share = value / cap
    return round(PARTS * min(max(share, 0.0), 1.0)) if share == share else PARTS  # noqa: PLR0124


def _bound(milliseconds: float) -> float:
    return min(max(FASTEST_MS, milliseconds), SLOWEST_MS)  # in this order NaN is the fastest

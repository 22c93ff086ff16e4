"""Figures of a service's traffic log by minute, summed over a rule's window.

A minute is the smallest step: memory grows with minutes, not with requests.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sluice.config.monitoring.rules import MonitoringRule
from sluice.monitoring.rules import ActiveRule
from sluice.monitoring.signals import Signal
from sluice.rollout.latency import EDGES_PER_DOUBLING, Histogram, edge_of, find_quantile
from sluice.rollout.latency import SLACK as EDGE_SLACK

STEP = 60.0
"""Seconds between two moments at which a rule is judged."""
FASTEST_MS = 0.001
QUANTILES = {"latency-p50": 0.50, "latency-p95": 0.95, "latency-p99": 0.99}


@dataclass
class MinuteCounts:
    """The counts of one minute."""

    requests: int = 0
    failures: int = 0
    feedbacks: int = 0
    latencies: dict[int, int] = field(default_factory=dict)
    """Answered requests by bucket of `sluice.rollout.latency`."""


class TrafficHistory:
    """The counts of a service's minutes, and when its traffic and its feedback began.

    `first_request` and `first_feedback` are in seconds since 1970, None where there was none yet.
    """

    def __init__(
        self, first_request: float | None = None, first_feedback: float | None = None
    ) -> None:
        self.minutes: dict[int, MinuteCounts] = {}
        self.first_request, self.first_feedback = first_request, first_feedback

    def add_answers(self, at: Any, failed: Any, latency_ms: Any) -> None:
        """Add answers: arrays of one length; times in seconds since 1970, latencies in ms."""
        minutes = np.floor_divide(np.asarray(at, float), STEP).astype(np.int64)
        failed = np.asarray(failed, bool)
        bounded = np.maximum(np.nan_to_num(np.asarray(latency_ms, float), nan=0.0), FASTEST_MS)
        buckets = np.ceil(EDGES_PER_DOUBLING * np.log2(bounded) - EDGE_SLACK).astype(np.int64)
        for minute in np.unique(minutes).tolist():
            inside = minutes == minute
            counts = self.minutes.setdefault(minute, MinuteCounts())
            counts.requests += int(inside.sum())
            counts.failures += int((inside & failed).sum())
            found, number = np.unique(buckets[inside & ~failed], return_counts=True)
            for bucket, requests in zip(found.tolist(), number.tolist(), strict=True):
                counts.latencies[bucket] = counts.latencies.get(bucket, 0) + requests
        if len(minutes):
            self.first_request = _earlier(self.first_request, float(np.min(at)))

    def add_feedback(self, at: Any) -> None:
        """Add feedback by the times of its arrival, in seconds since 1970."""
        times = np.asarray(at, float)
        found, number = np.unique(np.floor_divide(times, STEP).astype(np.int64), return_counts=True)
        for minute, feedbacks in zip(found.tolist(), number.tolist(), strict=True):
            self.minutes.setdefault(minute, MinuteCounts()).feedbacks += feedbacks
        if len(times):
            self.first_feedback = _earlier(self.first_feedback, float(times.min()))

    def sum_window(self, start: float, end: float, latencies: bool = True) -> MinuteCounts:
        """Return the counts of the whole minutes from `start` to `end`, in seconds since 1970.

        Without `latencies` those are left out, which costs a tenth.
        """
        total = MinuteCounts()
        for minute in range(int(start // STEP), int(end // STEP)):
            counts = self.minutes.get(minute)
            if counts is None:
                continue
            total.requests += counts.requests
            total.failures += counts.failures
            total.feedbacks += counts.feedbacks
            for bucket, requests in counts.latencies.items() if latencies else ():
                total.latencies[bucket] = total.latencies.get(bucket, 0) + requests
        return total


@dataclass(frozen=True)
class TrafficView:
    """A service's traffic with what its file says: the source of the traffic signals."""

    service: str
    history: TrafficHistory
    capacity: float | None = None
    """Requests a second that its gateways can answer together."""

    def measure(self, active: ActiveRule, at: datetime) -> Signal:
        """Return the signal of a rule over its window, which ends at `at`."""
        start = at - timedelta(seconds=active.rule.window)
        has_latencies = active.rule.signal in QUANTILES
        counts = self.history.sum_window(start.timestamp(), at.timestamp(), has_latencies)
        value, reason = self._measure(active.rule, counts, start)
        return Signal(
            service=self.service,
            name=active.rule.signal,
            start=start,
            end=at,
            value=value,
            n=sum(counts.latencies.values()) if has_latencies else counts.requests,
            reason=reason,
            baseline=self.capacity if active.rule.signal == "throughput-share" else None,
        )

    def _measure(
        self, rule: MonitoringRule, counts: MinuteCounts, start: datetime
    ) -> tuple[float | None, str]:
        name = rule.signal
        if name == "requests":
            return self._count_since(counts.requests, self.history.first_request, start, "request")
        if name == "feedbacks":
            first = self.history.first_feedback
            return self._count_since(counts.feedbacks, first, start, "feedback")
        if name in QUANTILES:
            return _find_latency(counts.latencies, QUANTILES[name])
        if name == "failure-share":
            share = counts.failures / counts.requests if counts.requests else None
            return share, "" if counts.requests else "no request in the window"
        if self.capacity is None:
            return None, "`monitoring.capacity` is not in its file"
        return counts.requests / rule.window / self.capacity, ""

    def _count_since(
        self, number: int, first: float | None, start: datetime, noun: str
    ) -> tuple[float | None, str]:
        """Return a number, unless nothing came before the window: then silence proves nothing."""
        if first is None:
            return None, f"no {noun} was ever logged"
        if not number and first >= start.timestamp():
            return None, f"the first {noun} came within the window"
        return float(number), ""


def list_steps(judged: datetime | None, until: datetime) -> Iterator[datetime]:
    """Yield the whole minutes after the last judged one, up to `until`.

    A rule that was never judged begins with the last whole minute.
    """
    last = until.timestamp() // STEP * STEP
    first = last if judged is None else (judged.timestamp() // STEP + 1) * STEP
    while first <= last:
        yield datetime.fromtimestamp(first, UTC)
        first += STEP


def _find_latency(latencies: Histogram, quantile: float) -> tuple[float | None, str]:
    bucket = find_quantile([latencies], quantile)
    return (None, "no answered request in the window") if bucket is None else (edge_of(bucket), "")


def _earlier(known: float | None, found: float) -> float:
    return found if known is None else min(known, found)

"""Latency limits on counters: histograms with fixed edges, and requests above a limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2, sqrt

EDGES_PER_DOUBLING = 80
"""Bucket i holds latencies in (2^((i-1)/80), 2^(i/80)] ms: neighbouring edges differ by .9 %."""
QUANTILE = 0.95
WINDOW, REFRESH = 10, 5
"""Blocks of the champion from which its P95 is read, and after how many it is read again."""
SLACK = 1e-3
"""A limit this close above an edge, in edges, counts as that edge: 1.10 is 11.0003 edges."""

Histogram = Mapping[int, float]
"""Requests by bucket; failed requests are not counted."""


@dataclass(frozen=True)
class LatencyLimits:
    """The buckets above whose upper edge a request counts as slow.

    `baseline` is the champion's P95, `near` the limit of the margin rule, `far` of the ratio rule.
    """

    baseline: int
    near: int
    far: int


def edge_of(bucket: int) -> float:
    """Return a bucket's upper edge in milliseconds."""
    return float(2 ** (bucket / EDGES_PER_DOUBLING))


def bucket_of(milliseconds: float) -> int:
    """Return the first bucket whose upper edge is not below a latency above 0 ms."""
    return ceil(EDGES_PER_DOUBLING * log2(milliseconds) - SLACK)


def find_quantile(histograms: Sequence[Histogram], quantile: float = QUANTILE) -> int | None:
    """Return the bucket with a quantile of all the histograms' requests; None without requests."""
    merged: dict[int, float] = {}
    for histogram in histograms:
        for bucket, requests in histogram.items():
            merged[bucket] = merged.get(bucket, 0.0) + requests
    rank = quantile * sum(merged.values())
    count = 0.0
    for bucket in sorted(merged):
        count += merged[bucket]
        if count >= rank and count > 0:
            return bucket
    return None


def bound_quantile(
    histogram: Histogram, quantile: float = QUANTILE, z: float = 1.959964
) -> tuple[float, float, float | None] | None:
    """Return a quantile in milliseconds and the ends of its interval; None without requests.

    The interval is that of its rank, for any distribution (David and Nagaraja 2003, 7.1); its
    upper end is None if there are too few requests for one.
    """
    n = sum(histogram.values())
    middle = find_quantile([histogram], quantile)
    if middle is None:
        return None
    spread = z * sqrt(quantile * (1 - quantile) / n)
    low = find_quantile([histogram], max(0.0, quantile - spread))
    high = find_quantile([histogram], quantile + spread) if quantile + spread <= 1 else None
    edges = [edge_of(middle if low is None else low), edge_of(middle)]
    return edges[1], edges[0], None if high is None else edge_of(high)


def set_limits(
    baseline: int, near: float = 1.10, far: float = 2.0, min_effect_ms: float = 5.0
) -> LatencyLimits:
    """Return the limits for a champion's P95 bucket, each rounded up to an edge.

    Both are at least `min_effect_ms` above it: of a few milliseconds, twice as much is no effect.
    """
    milliseconds = edge_of(baseline)
    least = bucket_of(milliseconds + min_effect_ms)
    steps = (ceil(EDGES_PER_DOUBLING * log2(ratio) - SLACK) for ratio in (near, far))
    return LatencyLimits(baseline, *(max(baseline + step, least) for step in steps))


def count_overruns(histogram: Histogram, failures: float, bucket: int) -> float:
    """Count the requests above a bucket's upper edge; every failure counts as one."""
    return failures + sum(requests for item, requests in histogram.items() if item > bucket)

"""Latency of many rollouts at once: histograms around the champion's P95, and who overran it."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from sluice.rollout.latency import (
    EDGES_PER_DOUBLING,
    QUANTILE,
    REFRESH,
    WINDOW,
    bucket_of,
    edge_of,
    set_limits,
)
from sluice.rollout.simulation.traffic import Counts, Floats, Indices, Traffic

REACH = 7.0
"""Standard deviations of a P95 on one block that the drawn buckets reach to each side."""
MOST = 200
"""Most buckets to a side; a P95 beyond them is counted as the outermost."""


@dataclass(frozen=True)
class Overruns:
    """One block's overruns: the candidate's of the near and the far limit, the champion's P95."""

    near: Floats
    far: Floats
    usual: Floats


class Latencies:
    """Times of answers, lognormal, seen as the gateway's counters show them.

    Only the buckets that a P95 can fall into are drawn one by one; what lies below and above them
    is drawn as two sums. The baseline is read from ten blocks, each fifth block.
    """

    def __init__(
        self, traffic: Traffic, shape: tuple[int, float], limits: tuple[float, float, float]
    ) -> None:
        runs, requests = shape
        self.spread, self.median = traffic.latency_spread, np.log(traffic.latency)
        self.traffic = traffic
        true = np.exp(self.median + self.spread * norm.ppf(QUANTILE))
        middle = bucket_of(float(true))
        width = self.spread * 2.11 / np.sqrt(max(requests, 1.0)) * EDGES_PER_DOUBLING / np.log(2)
        reach = int(min(MOST, np.ceil(REACH * width) + 2))
        self.buckets = np.arange(middle - reach, middle + reach + 1)
        edges = np.log([edge_of(int(bucket)) for bucket in self.buckets])
        below = norm.cdf((edges - self.median) / self.spread)
        self.shares = np.diff(np.concatenate([[0.0], below, [1.0]]))
        found = [set_limits(int(bucket), *limits) for bucket in self.buckets]
        self.near_edges = np.log([edge_of(item.near) for item in found])
        self.far_edges = np.log([edge_of(item.far) for item in found])
        self.window = np.zeros((WINDOW, runs, len(self.shares)), dtype=np.int64)
        self.seen = np.zeros(runs, dtype=np.int64)
        self.baseline = np.full(runs, -1)

    def observe(
        self, rng: np.random.Generator, runs: Indices, counts: Counts, clock: Floats
    ) -> Overruns:
        """Draw a block's times and count them at the limits in force; then read the baseline."""
        place = self.baseline[runs]
        usual = self._draw_champion(rng, runs, counts, place)
        served = (counts.n_c - counts.k_c).astype(np.int64)
        slower = self.median + np.log(self.traffic.slowdowns(clock))
        shares = [
            norm.sf((edges[place] - slower) / self.spread)
            for edges in (self.near_edges, self.far_edges)
        ]
        few, many = np.minimum(*shares), np.maximum(*shares)
        least = rng.binomial(served, few)
        most = least + rng.binomial(served - least, (many - few) / np.maximum(1 - few, 1e-12))
        nearer = shares[0] >= shares[1]
        near, far = np.where(nearer, most, least), np.where(nearer, least, most)
        return Overruns(near + counts.k_c, far + counts.k_c, usual + counts.k_b)

    def is_known(self, runs: Indices) -> bool:
        """Whether all the chosen rollouts have a baseline."""
        return bool(np.all(self.baseline[runs] >= 0))

    def _draw_champion(
        self, rng: np.random.Generator, runs: Indices, counts: Counts, place: Indices
    ) -> Floats:
        served = (counts.n_b - counts.k_b).astype(np.int64)
        drawn = rng.multinomial(served, self.shares)
        # The bucket at place p ends at the p-th edge; what lies above it overran.
        above = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
        usual = above[np.arange(len(runs)), np.maximum(place, 0) + 1]
        self.window[self.seen[runs] % WINDOW, runs] = drawn
        self.seen[runs] += 1
        due = runs[((self.seen[runs] - 1) % REFRESH == 0) | (place < 0)]
        merged = np.cumsum(self.window[:, due].sum(axis=0), axis=1)
        total = merged[:, -1]
        found = np.argmax(merged >= QUANTILE * total[:, None], axis=1)
        self.baseline[due] = np.where(total > 0, np.minimum(found, len(self.buckets) - 1), -1)
        return np.asarray(usual, dtype=float)

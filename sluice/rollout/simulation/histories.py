"""Champion histories and latencies of many rollouts that are simulated at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from sluice.rollout.history import FAILURES, GROUPS, KNOWN, MEDIAN_CHI_SQUARE, compare_groups
from sluice.rollout.latency import (
    EDGES_PER_DOUBLING,
    QUANTILE,
    REFRESH,
    WINDOW,
    bucket_of,
    edge_of,
    set_limits,
)
from sluice.rollout.simulation.traffic import BlockCounts, Floats, Indices, Traffic

REACH = 7.0
"""Standard deviations of one block's P95 that the drawn buckets cover on each side."""
MOST = 200
"""Most buckets on each side; a P95 beyond them counts as the outermost."""


@dataclass(frozen=True)
class Overruns:
    """One block's overruns: of the candidate above both limits, of the champion above its P95."""

    near: Floats
    far: Floats
    usual: Floats


class Latencies:
    """Lognormal latencies, counted in buckets as by the gateway.

    Only the buckets that a P95 can fall into are drawn one by one; the requests below and above
    them are drawn as two sums. The baseline is read from ten blocks, every fifth block.
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
        self.blocks = np.zeros(runs, dtype=np.int64)
        self.baseline = np.full(runs, -1)

    def observe(
        self, rng: np.random.Generator, runs: Indices, counts: BlockCounts, clock: Floats
    ) -> Overruns:
        """Draw a block's latencies, count the overruns, and then update the baseline."""
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
        self, rng: np.random.Generator, runs: Indices, counts: BlockCounts, place: Indices
    ) -> Floats:
        served = (counts.n_b - counts.k_b).astype(np.int64)
        drawn = rng.multinomial(served, self.shares)
        # The bucket at place p ends at the p-th edge; requests above it overran.
        above = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
        usual = above[np.arange(len(runs)), np.maximum(place, 0) + 1]
        self.window[self.blocks[runs] % WINDOW, runs] = drawn
        self.blocks[runs] += 1
        due = runs[((self.blocks[runs] - 1) % REFRESH == 0) | (place < 0)]
        merged = np.cumsum(self.window[:, due].sum(axis=0), axis=1)
        total = merged[:, -1]
        found = np.argmax(merged >= QUANTILE * total[:, None], axis=1)
        self.baseline[due] = np.where(total > 0, np.minimum(found, len(self.buckets) - 1), -1)
        return np.asarray(usual, dtype=float)


class ChampionHistory:
    """The champion's blocks of one kind of count, shape (rollouts, blocks).

    A rollout without requests in a block has zeros there, which change no figure. `rho` is
    measured again every `interval` blocks.
    """

    def __init__(self, runs: int, blocks: int, interval: int = 1) -> None:
        self.sums = np.zeros((2, runs, blocks + 1))
        """Requests and failures up to each block; 0 before the first."""
        self.squares = np.full((runs, blocks), np.nan)
        self.interval, self.rows = interval, 0
        self.blocks, self.smallest = np.zeros(runs), np.full(runs, np.inf)
        self.last_n, self.last_k = np.zeros(runs), np.zeros(runs)
        self.rho = np.zeros(runs)

    def append(self, runs: Indices, n: Floats, k: Floats) -> None:
        """Add a block of the chosen rollouts."""
        self.sums[:, :, self.rows + 1] = self.sums[:, :, self.rows]
        self.sums[:, runs, self.rows + 1] += n, k
        used = n > 0
        pairs = used & (self.last_n[runs] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            square = compare_groups(n, k, self.last_n[runs], self.last_k[runs])
        self.squares[runs, self.rows] = np.where(pairs, square, np.nan)
        self.last_n[runs] = np.where(used, n, self.last_n[runs])
        self.last_k[runs] = np.where(used, k, self.last_k[runs])
        self.smallest[runs] = np.where(
            used, np.minimum(self.smallest[runs], n), self.smallest[runs]
        )
        self.blocks[runs] += used
        self.rows += 1

    def rate(self, runs: Indices) -> Floats:
        """Return each champion's rate for the tests of the next block."""
        requests, failures = self.sums[:, runs, self.rows]
        return np.asarray((failures + 0.5) / (requests + 1))

    def is_known(self, runs: Indices) -> bool:
        """Whether enough requests of every chosen champion are known."""
        return bool(np.all(self.sums[0, runs, self.rows] >= KNOWN))

    def correlation(self, runs: Indices, block: int) -> Floats:
        """Return each champion's rho before the stage's block number `block`, counted from 0."""
        if block % self.interval == 0:
            self.rho[runs] = self.measure(runs)
        return self.rho[runs]

    def measure(self, runs: Indices) -> Floats:
        """Measure rho on all past blocks; 0 if there are too few groups."""
        groups, squares, size = self._group(runs)
        rho = np.maximum(0, (find_medians(squares) / MEDIAN_CHI_SQUARE - 1) / np.maximum(size, 1))
        return np.where(groups >= GROUPS, rho, 0.0)

    def is_measured(self, runs: Indices) -> NDArray[np.bool_]:
        """Whether there are enough groups to measure clustering."""
        return np.asarray(self._group(runs)[0] >= GROUPS)

    def _group(self, runs: Indices) -> tuple[Floats, Floats, Floats]:
        """Return each rollout's number of groups, their squared differences and their mean size.

        If every block has enough failures to be a group, the differences of neighbours are known
        already; otherwise blocks are merged again.
        """
        requests, failures = self.sums[:, runs, self.rows]
        rate = failures / np.maximum(requests, 1)
        if not np.all(self.smallest[runs] * rate >= FAILURES):
            return merge_blocks(self.sums[:, runs, : self.rows + 1], rate)
        groups = self.blocks[runs]
        return groups, self.squares[runs, : self.rows], requests / np.maximum(groups, 1)


def merge_blocks(sums: Floats, rate: Floats) -> tuple[Floats, Floats, Floats]:
    """Merge blocks until five failures are expected; sums of n and k, shape (2, runs, blocks + 1).

    Returns the same as `ChampionHistory._group`. The end of each group is searched in the running
    sums, by doubling a reach and then halving it.
    """
    runs, last = np.arange(sums.shape[1]), sums.shape[2] - 1
    at = np.zeros(len(runs), dtype=np.intp)
    before = np.full((2, len(runs)), np.nan)
    groups, squares = np.zeros(len(runs)), []
    reach = 1
    while True:
        base = sums[:, runs, at]

        def is_full(place: Indices, start: Floats = base[0]) -> NDArray[np.bool_]:
            n = sums[0, runs, np.minimum(place, last)] - start
            return np.asarray((n * rate >= FAILURES) & (n > 0))

        reach = max(1, reach // 2)
        while not np.all((full := is_full(at + reach)) | (at + reach >= last)):
            reach *= 2
        low, high = at + 1, np.where(full, np.minimum(at + reach, last), last + 1)
        for _ in range(reach.bit_length()):
            middle = (low + high) // 2
            full = is_full(middle) | (low >= high)
            low, high = np.where(full, low, middle + 1), np.where(full & (low < high), middle, high)
        found = high <= last
        if not found.any():
            break
        now = sums[:, runs, np.minimum(high, last)] - base
        with np.errstate(divide="ignore", invalid="ignore"):
            square = compare_groups(now[0], now[1], before[0], before[1])
        squares.append(np.where(found, square, np.nan))
        groups += found
        before = np.where(found, now, before)
        at = np.where(found, high, at)
    table = np.array(squares).T if squares else np.full((len(runs), 1), np.nan)
    return groups, table, sums[0, runs, at] / np.maximum(groups, 1)


def find_medians(values: Floats) -> Floats:
    """Return each row's median, ignoring NaN; 0 if a row has only NaN."""
    counts: NDArray[np.intp] = np.sum(~np.isnan(values), axis=1)
    low, high = np.maximum(counts - 1, 0) // 2, counts // 2
    if counts.size and np.all(counts == counts[0]):
        ordered = np.partition(values, sorted({int(low[0]), int(high[0])}), axis=1)
    else:
        ordered = np.sort(values, axis=1)
    high = np.minimum(high, values.shape[1] - 1)
    rows = np.arange(len(values))
    return np.where(counts > 0, (ordered[rows, low] + ordered[rows, high]) / 2, 0.0)

"""The champions' histories of many rollouts: one buffer, running sums, clustering step by step."""

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.history import (
    FAILURES,
    GROUPS,
    KNOWN,
    MEDIAN_CHI_SQUARE,
    compare_groups,
)
from sluice.rollout.simulation.traffic import Floats, Indices


class Ledger:
    """The champion's blocks of one kind of count, shape (rollouts, blocks).

    A rollout that is not drawn in a block has a row of zeros there, which adds nothing to any
    figure. `rho` is measured anew every `every` blocks.
    """

    def __init__(self, runs: int, blocks: int, every: int = 1) -> None:
        self.sums = np.zeros((2, runs, blocks + 1))
        """Requests and failures up to each block; in front of the first stands 0."""
        self.squares = np.full((runs, blocks), np.nan)
        self.every, self.rows = every, 0
        self.blocks, self.smallest = np.zeros(runs), np.full(runs, np.inf)
        self.last_n, self.last_k = np.zeros(runs), np.zeros(runs)
        self.rho = np.zeros(runs)

    def append(self, runs: Indices, n: Floats, k: Floats) -> None:
        """Add a block of the chosen rollouts."""
        self.sums[:, :, self.rows + 1] = self.sums[:, :, self.rows]
        self.sums[:, runs, self.rows + 1] += n, k
        seen = n > 0
        pairs = seen & (self.last_n[runs] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            square = compare_groups(n, k, self.last_n[runs], self.last_k[runs])
        self.squares[runs, self.rows] = np.where(pairs, square, np.nan)
        self.last_n[runs] = np.where(seen, n, self.last_n[runs])
        self.last_k[runs] = np.where(seen, k, self.last_k[runs])
        self.smallest[runs] = np.where(
            seen, np.minimum(self.smallest[runs], n), self.smallest[runs]
        )
        self.blocks[runs] += seen
        self.rows += 1

    def rate(self, runs: Indices) -> Floats:
        """Give each champion's rate as the next block's tests see it."""
        requests, failures = self.sums[:, runs, self.rows]
        return np.asarray((failures + 0.5) / (requests + 1))

    def is_known(self, runs: Indices) -> bool:
        """Whether enough requests of every chosen champion are known."""
        return bool(np.all(self.sums[0, runs, self.rows] >= KNOWN))

    def correlation(self, runs: Indices, block: int) -> Floats:
        """Give each champion's rho before the stage's block number `block`, from 0."""
        if block % self.every == 0:
            self.rho[runs] = self.measure(runs)
        return self.rho[runs]

    def measure(self, runs: Indices) -> Floats:
        """Measure rho on all past blocks; 0 where there are too few groups."""
        groups, squares, size = self._group(runs)
        rho = np.maximum(0, (find_medians(squares) / MEDIAN_CHI_SQUARE - 1) / np.maximum(size, 1))
        return np.where(groups >= GROUPS, rho, 0.0)

    def is_measured(self, runs: Indices) -> NDArray[np.bool_]:
        """Whether there are groups enough to measure clustering."""
        return np.asarray(self._group(runs)[0] >= GROUPS)

    def _group(self, runs: Indices) -> tuple[Floats, Floats, Floats]:
        """Give each rollout's number of groups, their squared differences and their mean size.

        Where every block holds failures enough to be a group of its own, the differences of
        neighbours are known already; elsewhere blocks are merged anew.
        """
        requests, failures = self.sums[:, runs, self.rows]
        rate = failures / np.maximum(requests, 1)
        if not np.all(self.smallest[runs] * rate >= FAILURES):
            return merge_blocks(self.sums[:, runs, : self.rows + 1], rate)
        groups = self.blocks[runs]
        return groups, self.squares[runs, : self.rows], requests / np.maximum(groups, 1)


def merge_blocks(sums: Floats, rate: Floats) -> tuple[Floats, Floats, Floats]:
    """Merge blocks until five failures are expected; sums of n and k, shape (2, runs, blocks + 1).

    Gives what `Ledger._group` does. Each group's end is searched in the running sums, by doubling
    a reach and then halving it.
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
    """Give each row's median over what is a number; 0 where nothing is."""
    counts: NDArray[np.intp] = np.sum(~np.isnan(values), axis=1)
    low, high = np.maximum(counts - 1, 0) // 2, counts // 2
    if counts.size and np.all(counts == counts[0]):
        ordered = np.partition(values, sorted({int(low[0]), int(high[0])}), axis=1)
    else:
        ordered = np.sort(values, axis=1)
    high = np.minimum(high, values.shape[1] - 1)
    rows = np.arange(len(values))
    return np.where(counts > 0, (ordered[rows, low] + ordered[rows, high]) / 2, 0.0)

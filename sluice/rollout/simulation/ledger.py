"""The champions' histories of many rollouts: one buffer, running sums, clustering step by step."""

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.history import (
    FAILURES,
    GROUPS,
    KNOWN,
    MEDIAN_CHI_SQUARE,
    History,
    compare_groups,
    measure_clustering,
)
from sluice.rollout.simulation.traffic import Floats, Indices


class Ledger:
    """The champion's blocks of one kind of count, shape (rollouts, blocks).

    A rollout that is not drawn in a block has a row of zeros there, which adds nothing to any
    figure. `rho` is measured anew every `every` blocks.
    """

    def __init__(self, runs: int, blocks: int, every: int = 1) -> None:
        self.n, self.k = np.zeros((runs, blocks)), np.zeros((runs, blocks))
        self.squares = np.full((runs, blocks), np.nan)
        self.every, self.rows = every, 0
        self.requests, self.failures = np.zeros(runs), np.zeros(runs)
        self.blocks, self.smallest = np.zeros(runs), np.full(runs, np.inf)
        self.last_n, self.last_k = np.zeros(runs), np.zeros(runs)
        self.rho = np.zeros(runs)

    def append(self, runs: Indices, n: Floats, k: Floats) -> None:
        """Add a block of the chosen rollouts."""
        self.n[runs, self.rows], self.k[runs, self.rows] = n, k
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
        self.requests[runs] += n
        self.failures[runs] += k
        self.rows += 1

    def rate(self, runs: Indices) -> Floats:
        """Give each champion's rate as the next block's tests see it."""
        return np.asarray((self.failures[runs] + 0.5) / (self.requests[runs] + 1))

    def is_known(self, runs: Indices) -> bool:
        """Whether enough requests of every chosen champion are known."""
        return bool(np.all(self.requests[runs] >= KNOWN))

    def correlation(self, runs: Indices, block: int) -> Floats:
        """Give each champion's rho before the stage's block number `block`, from 0."""
        if block % self.every == 0:
            self.rho[runs] = self.measure(runs)
        return self.rho[runs]

    def measure(self, runs: Indices) -> Floats:
        """Measure rho on all past blocks.

        Where every block holds failures enough to be a group of its own, the differences of
        neighbours are known already; elsewhere blocks are merged anew.
        """
        expected = self.failures[runs] / np.maximum(self.requests[runs], 1)
        if not np.all(self.smallest[runs] * expected >= FAILURES):
            past = History(self.n[runs, : self.rows].T, self.k[runs, : self.rows].T)
            return measure_clustering(past).rho
        median = find_medians(self.squares[runs, : self.rows])
        size = self.requests[runs] / self.blocks[runs]
        rho = np.maximum(0, (median / MEDIAN_CHI_SQUARE - 1) / size)
        return np.where(self.blocks[runs] >= GROUPS, rho, 0.0)


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

"""The champion's history before a block: past blocks, failure rate, and clustering of failures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.rollout.evidence import Numbers

KNOWN = 500
"""Champion requests that must be known before any test is updated."""
FAILURES = 5.0
"""Expected failures that a group of blocks needs to be compared with the next group."""
GROUPS = 20
"""Fewest groups on which clustering is measured."""
MEDIAN_CHI_SQUARE = 0.4549
"""Median of the chi-square distribution with one degree of freedom."""


@dataclass(frozen=True)
class History:
    """The champion's past blocks of one rule: requests `n` and failures `k`.

    Shapes (blocks,), or (blocks, runs) if many rollouts are simulated at once. Blocks from before
    the rollout come first.
    """

    n: NDArray[np.float64]
    k: NDArray[np.float64]

    @property
    def requests(self) -> NDArray[np.float64]:
        """Total number of requests."""
        return np.asarray(self.n.sum(axis=0))

    @property
    def rate(self) -> NDArray[np.float64]:
        """The champion's rate for the tests of the next block, strictly between 0 and 1."""
        return np.asarray((self.k.sum(axis=0) + 0.5) / (self.n.sum(axis=0) + 1))

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether enough requests are known for a test to be updated."""
        return np.asarray(self.requests >= KNOWN)

    def append(self, n: Numbers, k: Numbers) -> "History":
        """Return the history with one more block."""
        return History(np.append(self.n, [n], axis=0), np.append(self.k, [k], axis=0))


@dataclass(frozen=True)
class Clustering:
    """How failures cluster: the intraclass correlation, and the number of groups it is from."""

    rho: NDArray[np.float64]
    groups: NDArray[np.int64]

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """Whether there were enough groups; if not, rho is 0, and reports say so."""
        return np.asarray(self.groups >= GROUPS)


def measure_clustering(history: History) -> Clustering:
    """Measure how much more a champion's rate varies from block to block than chance explains.

    Consecutive blocks are merged until five failures are expected; an incomplete last group is
    dropped. The squared standardised difference of neighbouring groups has a chi-square
    distribution if requests are independent. Its median is robust to a few incidents; the excess
    over that distribution's median gives the intraclass correlation rho (Kish 1965), at least 0.
    """
    if history.n.ndim == 1:
        return _measure_one(history)
    rate = history.k.sum(axis=0) / np.maximum(history.n.sum(axis=0), 1)
    shape = history.n.shape[1:]
    n, k, last_n, last_k, total = (np.zeros(shape) for _ in range(5))
    groups = np.zeros(shape, dtype=np.int64)
    squares = []
    for block_n, block_k in zip(history.n, history.k, strict=True):
        n, k = n + block_n, k + block_k
        full = (n * rate >= FAILURES) & (n > 0)
        squares.append(np.where(full & (groups > 0), compare_groups(n, k, last_n, last_k), np.nan))
        groups = groups + full
        total = total + np.where(full, n, 0)
        last_n, last_k = np.where(full, n, last_n), np.where(full, k, last_k)
        n, k = np.where(full, 0, n), np.where(full, 0, k)
    measured = groups >= GROUPS
    if not np.any(measured):
        return Clustering(np.zeros(shape), groups)
    median = np.nanmedian(np.where(measured, np.array(squares), 0.0), axis=0)
    size = total / np.maximum(groups, 1)
    rho = np.maximum(0, (median / MEDIAN_CHI_SQUARE - 1) / np.maximum(size, 1))
    return Clustering(np.where(measured, rho, 0.0), groups)


def _measure_one(history: History) -> Clustering:
    """Measure one history: the same groups, in plain numbers, a hundred times as fast."""
    total = float(history.n.sum())
    rate = float(history.k.sum()) / max(total, 1)
    table = _merge_blocks(history, rate)
    groups = np.asarray(len(table), dtype=np.int64)
    if len(table) < GROUPS:
        return Clustering(np.zeros(()), groups)
    squares = compare_groups(table[1:, 0], table[1:, 1], table[:-1, 0], table[:-1, 1])
    excess = np.median(squares) / MEDIAN_CHI_SQUARE - 1
    return Clustering(np.asarray(max(0.0, excess / table[:, 0].mean())), groups)


def _merge_blocks(history: History, rate: float) -> NDArray[np.float64]:
    """Return the groups' requests and failures, one row per group."""
    used = history.n > 0
    if used.any() and history.n[used].min() * rate >= FAILURES:  # each block is a group
        return np.column_stack([history.n[used], history.k[used]])
    merged, n, k = [], 0.0, 0.0
    for block_n, block_k in zip(history.n.tolist(), history.k.tolist(), strict=True):
        n, k = n + block_n, k + block_k
        if n * rate >= FAILURES and n > 0:
            merged.append((n, k))
            n, k = 0.0, 0.0
    return np.array(merged).reshape(-1, 2)


def compare_groups(
    n: NDArray[np.float64],
    k: NDArray[np.float64],
    last_n: NDArray[np.float64],
    last_k: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the squared standardised difference of two groups' rates."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (k + last_k + 0.5) / (n + last_n + 1)
        spread = pooled * (1 - pooled) * (1 / n + 1 / last_n)
        return np.asarray((k / n - last_k / last_n) ** 2 / spread)

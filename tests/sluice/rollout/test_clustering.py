"""How failures cluster, where several blocks make one group, and where rollouts are simulated."""

import numpy as np
import pytest

from sluice.rollout.history import GROUPS, History, measure_clustering


def draw(rate: float, blocks: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give requests and failures of four runs whose rate moves from block to block."""
    rng = np.random.default_rng(seed)
    n = rng.integers(800, 1200, (blocks, 4)).astype(float)
    rates = np.clip(rate * rng.lognormal(0, spread, (blocks, 4)), 0, 1)
    return n, rng.binomial(n.astype(int), rates).astype(float)


@pytest.mark.parametrize("rate", [0.002, 0.0045, 0.02])
@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_many_runs_at_once_equal_each_alone(rate: float, spread: float) -> None:
    n, k = draw(rate, 120, spread, seed=4)
    n[5, 0] = k[5, 0] = 0.0  # a block without requests
    together = measure_clustering(History(n, k))
    alone = [measure_clustering(History(n[:, run], k[:, run])) for run in range(4)]
    assert together.groups.tolist() == [int(one.groups) for one in alone]
    assert np.allclose(together.rho, [float(one.rho) for one in alone], rtol=1e-12)
    if spread:
        assert np.all(together.rho > 0)


def test_blocks_are_merged_until_five_failures_are_expected() -> None:
    """At a rate of .002 a block of 1,000 requests expects 2: three of them make a group."""
    n = np.full(62, 1000.0)
    k = np.where(np.arange(62) % 2, 3.0, 1.0)
    found = measure_clustering(History(n, k))
    assert int(found.groups) == 62 // 3
    exact = measure_clustering(History(np.full(40, 2500.0), np.full(40, 5.0)))
    assert int(exact.groups) == 40


def test_runs_with_too_few_groups_are_not_measured_beside_those_that_are() -> None:
    n, k = draw(0.02, GROUPS, 1.0, seed=5)
    k[:, 0] = 0.0
    found = measure_clustering(History(n, k))
    assert found.is_measured.tolist() == [False, True, True, True]
    assert found.rho[0] == 0
    assert np.all(found.rho[1:] > 0)
    few = measure_clustering(History(n[1:], k[1:]))
    assert few.is_measured.tolist() == [False] * 4
    assert few.rho.tolist() == [0.0] * 4

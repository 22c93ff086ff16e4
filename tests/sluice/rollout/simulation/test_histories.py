"""The histories of many simulated rollouts equal the history of each of them."""

import numpy as np
import pytest

from sluice.rollout.history import History, measure_clustering
from sluice.rollout.simulation.histories import ChampionHistory, find_medians


@pytest.mark.parametrize("requests", [2850, 400, 57, 3])
def test_many_histories_equal_each_alone(requests: int) -> None:
    rng = np.random.default_rng(requests)
    history = ChampionHistory(4, 300)
    for block in range(300):
        # The last rollout skips every fifth block: its row of zeros must change nothing.
        runs = np.arange(4 if block % 5 else 3)
        n = rng.poisson(requests, len(runs)).astype(float)
        rate = np.minimum(0.02 * rng.lognormal(0, 0.7, len(runs)), 1)
        history.append(runs, n, rng.binomial(n.astype(int), rate).astype(float))
    table = np.diff(history.sums, axis=2)
    for run in range(4):
        past = History(table[0, run], table[1, run])
        alone = measure_clustering(past)
        chosen = np.array([run])
        assert history.rate(chosen)[0] == pytest.approx(float(past.rate), rel=1e-12)
        assert history.is_measured(chosen)[0] == bool(alone.is_measured)
        assert history.measure(chosen)[0] == pytest.approx(float(alone.rho), rel=1e-9, abs=0)
    assert history.is_measured(np.arange(4)).all() == (requests > 3)


def test_clustering_is_measured_as_often_as_asked() -> None:
    history = ChampionHistory(1, 100, interval=10)
    runs = np.array([0])
    seen = []
    for block in range(60):
        history.append(runs, np.array([1000.0]), np.array([5.0 + 20 * (block % 2)]))
        seen.append(float(history.correlation(runs, block)[0]))
    assert {block for block in range(1, 60) if seen[block] != seen[block - 1]} <= set(
        range(0, 60, 10)
    )
    assert seen[-1] > 0


def test_median_leaves_out_what_is_no_number() -> None:
    values = np.array([[3.0, np.nan, 1.0, 2.0], [np.nan, np.nan, 4.0, 6.0], [np.nan] * 4])
    assert find_medians(values).tolist() == [2.0, 5.0, 0.0]

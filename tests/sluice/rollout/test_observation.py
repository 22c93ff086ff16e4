"""A rule's evidence in a stage: every published block, and the laws that it must keep."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.rollout.evidence import Block, Boundary, LimitTest
from sluice.rollout.history import History, measure_clustering
from sluice.rollout.observation import StageEvidence
from support.rollouts.counts import VECTORS


def history_of(blocks: list[list[float]]) -> History:
    columns = np.array(blocks, dtype=float)
    return History(columns[:, 0], columns[:, 1])


@pytest.mark.parametrize("vector", VECTORS["stage"], ids=lambda item: item["name"])
def test_published_stage(vector: dict[str, Any]) -> None:
    boundary = Boundary(vector["r"], vector["d"])
    starts = vector["pass_starts_before_block"]
    stage = StageEvidence.begin(history_of(vector["past"]), boundary, vector["max_blocks"], starts)
    for block in vector["blocks"]:
        rate = stage.history.rate
        known = [rate, boundary.limit(rate), stage.clustering.rho]
        wanted = [block["p_b"], block["boundary"], block["rho"]]
        assert [float(item) for item in known] == pytest.approx(wanted, rel=1e-9)
        stage = stage.update(Block(*(block[key] for key in ("n_c", "k_c", "n_b", "k_b"))))
        assert float(stage.rollback.log_wealth) == pytest.approx(block["log_wealth"], rel=1e-9)
        reads = stage.has_begun and bool(stage.passing.is_possible(rate))
        assert reads == (block["log_pass"] is not None)
        if reads:
            assert float(stage.passing.log_value) == pytest.approx(block["log_pass"], rel=1e-9)


@pytest.mark.parametrize("vector", VECTORS["rho"])
def test_published_clustering(vector: dict[str, Any]) -> None:
    found = measure_clustering(history_of(vector["blocks"]))
    assert float(found.rho) == pytest.approx(vector["rho"], rel=1e-9, abs=0)


@pytest.mark.parametrize("vector", VECTORS["one_sample"])
def test_published_limit_test(vector: dict[str, Any]) -> None:
    test = LimitTest(vector["limit"])
    for (n, k), wanted in zip(vector["blocks"], vector["log_pass"], strict=True):
        test = test.update(n, k)
        assert float(test.log_value) == pytest.approx(wanted, rel=1e-9)


def test_nothing_is_tested_before_the_champion_is_known() -> None:
    stage = StageEvidence.begin(history_of([[200, 2]]), Boundary(1, 0.005), 60, 1)
    for _ in range(2):
        stage = stage.update(Block(100, 100, 150, 1))
    assert stage.rollback.t == 0
    stage = stage.update(Block(100, 100, 150, 1))
    assert stage.rollback.t == 1
    assert float(stage.rollback.log_wealth) > 0


def test_clustering_needs_twenty_groups() -> None:
    few = measure_clustering(history_of([[500, 5]] * 19))
    enough = measure_clustering(history_of([[500, 5]] * 20))
    assert (bool(few.is_measured), bool(enough.is_measured)) == (False, True)
    assert float(few.rho) == 0


def test_many_rollouts_at_once_equal_each_alone() -> None:
    rng = np.random.default_rng(3)
    past = rng.integers(800, 1200, (30, 4)).astype(float)
    failures = rng.binomial(past.astype(int), 0.02).astype(float)
    blocks = []
    for _ in range(12):
        n_c, n_b = rng.integers(0, 80, 4), rng.integers(900, 1100, 4)
        blocks.append((n_c, rng.binomial(n_c, 0.03), n_b, rng.binomial(n_b, 0.02)))
    boundary = Boundary(1, 0.005)
    together = StageEvidence.begin(History(past, failures), boundary, 20, 4)
    alone = [
        StageEvidence.begin(History(past[:, run], failures[:, run]), boundary, 20, 4)
        for run in range(4)
    ]
    for block in blocks:
        together = together.update(Block(*block))
        alone = [
            stage.update(Block(*(float(item[run]) for item in block)))
            for run, stage in enumerate(alone)
        ]
    wealth = [float(stage.rollback.log_wealth) for stage in alone]
    value = [float(stage.passing.log_value) for stage in alone]
    np.testing.assert_allclose(together.rollback.log_wealth, wealth, rtol=1e-12)
    np.testing.assert_allclose(together.passing.log_value, value, rtol=1e-12)


counts = st.tuples(st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 10**6), st.floats(0, 1))


@given(
    blocks=st.lists(counts, min_size=1, max_size=15),
    boundary=st.sampled_from([Boundary(1, 0.005), Boundary(1, 0), Boundary(2, 0), Boundary(3, 0)]),
)
@settings(max_examples=150, deadline=None)
def test_any_counts_give_a_number(
    blocks: list[tuple[int, float, int, float]], boundary: Boundary
) -> None:
    stage = StageEvidence.begin(history_of([[600, 6]]), boundary, 10, 3)
    for n_c, share_c, n_b, share_b in blocks:
        stage = stage.update(Block(n_c, share_c * n_c, n_b, share_b * n_b))
        assert np.isfinite(stage.rollback.log_wealth) or stage.rollback.t >= 10
        assert not np.isnan(stage.rollback.log_wealth)
        assert np.isfinite(stage.passing.log_value)

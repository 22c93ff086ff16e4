"""A rule's evidence in a stage: published blocks, laws, clustering, how long stages last."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.rollout.evidence import Block, Boundary, LimitTest
from sluice.rollout.history import GROUPS, History, measure_clustering
from sluice.rollout.observation import StageEvidence, open_histories, open_stage
from sluice.rollout.state import Phase, Verb
from support.rollouts.counts import LAPTOP, VECTORS, begin, drive


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


def test_a_stage_opens_with_no_block_counted_and_its_pass_test_in_the_middle() -> None:
    histories, baseline = open_histories(LAPTOP, [])
    for index in range(len(LAPTOP.stages)):
        observation = open_stage(LAPTOP, index, histories, baseline)
        assert observation.blocks == 0
        assert observation.waived == frozenset()
        for item in observation.evidence.values():
            assert (item.starts_at, item.rollback.blocks) == (20 // 2 + 1, 60)
            assert not item.has_begun


def test_a_healthy_shadow_advances_at_its_twentieth_block() -> None:
    steps = list(drive(begin(), np.random.default_rng(0), ticks=21))
    blocks = [item.state.observation.blocks for item in steps]
    assert blocks == [*range(20), 0]
    assert [item.state.phase for item in steps] == [Phase.SHADOW] * 20 + [Phase.CANARY]
    assert steps[-1].decision.verb is Verb.ADVANCE
    assert steps[-1].decision.reason.endswith("after 20 blocks")


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

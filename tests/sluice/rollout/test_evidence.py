"""E-values of a block: published vectors, expectations, laws; stages that nothing could pass."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sluice.config.policy import Disagreement, MarginRule, PassRule, Policy, Stage
from sluice.rollout.evidence import Block, Boundary, Side, find_hopeless, measure_block, project
from support.rollouts.counts import LAPTOP, VECTORS

BOUNDARIES = [
    Boundary(1, 0.005),
    Boundary(1, 0.0),
    Boundary(2, 0.0),
    Boundary(3, 0.0),
    Boundary(1, 0.04),
]


def side_of(boundary: Boundary, q_c: float, q_b: float) -> Side:
    return Side.ABOVE if q_c > boundary.limit(q_b) else Side.BELOW


@pytest.mark.parametrize("vector", VECTORS["log_e"])
def test_published_vector(vector: dict[str, Any]) -> None:
    boundary = Boundary(vector["r"], vector["d"])
    counts = {key: vector[key] for key in ("n_c", "k_c", "n_b", "k_b")}
    q_c, q_b = vector["q_c"], vector["q_b"]
    point = project(boundary, counts["n_c"], counts["n_b"], q_c, q_b)
    found = measure_block(Block(**counts), boundary, side_of(boundary, q_c, q_b), q_c, q_b)
    wanted = [vector["p0_c"], vector["p0_b"], vector["log_e"]]
    assert [float(item) for item in (*point, found)] == pytest.approx(wanted, rel=1e-9)


def expect(
    boundary: Boundary, q: tuple[float, float], n: tuple[int, int], p: tuple[float, float]
) -> float:
    """Return the e-value's expectation by enumerating every outcome of both arms."""
    k_c, k_b = np.arange(n[0] + 1.0), np.arange(n[1] + 1.0)
    grid_c, grid_b = np.meshgrid(k_c, k_b, indexing="ij")
    logs = measure_block(Block(n[0], grid_c, n[1], grid_b), boundary, side_of(boundary, *q), *q)
    chance = np.outer(stats.binom.pmf(k_c, n[0], p[0]), stats.binom.pmf(k_b, n[1], p[1]))
    return float((np.exp(logs) * chance).sum())


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("q_b", [0.002, 0.05, 0.2])
@pytest.mark.parametrize("n", [(1, 1), (5, 40), (30, 12)])
def test_expectation_is_at_most_one_wherever_the_hypothesis_holds(
    boundary: Boundary, q_b: float, n: tuple[int, int]
) -> None:
    limit = float(boundary.limit(q_b))
    alternatives = [limit + 1e-4, limit + 0.05, min(limit + 0.3, 0.98)]
    below = [limit * 0.5, limit - 1e-4, 1e-5, boundary.margin * 0.5]
    alternatives += [item for item in below if 0 < item < limit]
    for q_c in alternatives:
        inwards = -1 if q_c > limit else 1
        for p_b in (1e-4, 0.01, 0.08, 0.3):
            edge = float(boundary.limit(p_b))
            for p_c in (edge, edge + inwards * 0.5 * edge, 1 - 1e-9 if inwards > 0 else 1e-9):
                assert expect(boundary, (q_c, q_b), n, (min(max(p_c, 0.0), 1.0), p_b)) <= 1 + 1e-9


def test_expectation_holds_where_the_limit_is_near_one() -> None:
    boundary = Boundary(3, 0.0)
    q_b = 0.3264
    for p_b in (0.05, 0.2, 0.3333):
        for p_c in (3 * p_b, 2 * p_b, 1e-6):
            assert expect(boundary, (0.98, q_b), (12, 15), (p_c, p_b)) <= 1 + 1e-9


@pytest.mark.parametrize("side", list(Side))
def test_expectation_holds_for_fractions_of_a_failure(side: Side) -> None:
    boundary, q_b = Boundary(2, 0.0), 0.1
    q_c = 0.3 if side is Side.ABOVE else 0.1
    values = np.array([0.0, 0.25, 1.0])
    for chance_c, chance_b in [
        ((0.75, 0.2, 0.05), (0.9, 0.1, 0.0)),
        ((0.5, 0.4, 0.1), (0.8, 0.2, 0.0)),
    ]:
        mean_b = float(values @ chance_b)
        scale = float(values @ chance_c) / (2 * mean_b)
        shift = np.array(chance_c) / scale
        shift[0] = 1 - shift[1] - shift[2]  # the candidate's mean lies on the boundary
        total = 0.0
        for first, p_first in zip(values, shift, strict=True):
            for second, p_second in zip(values, shift, strict=True):
                for base, p_base in zip(values, chance_b, strict=True):
                    block = Block(2, first + second, 1, base)
                    evidence = measure_block(block, boundary, side, q_c, q_b)
                    total += float(np.exp(evidence)) * p_first * p_second * p_base
        assert total <= 1 + 1e-9


@given(
    n=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    q=st.tuples(st.floats(0.001, 0.97), st.floats(0.001, 0.97)),
)
@settings(max_examples=200, deadline=None)
def test_equal_rates_without_margin_give_the_pooled_rate(
    n: tuple[int, int], q: tuple[float, float]
) -> None:
    p_c, p_b = project(Boundary(1, 0.0), n[0], n[1], *q)
    pooled = (n[0] * q[0] + n[1] * q[1]) / (n[0] + n[1])
    assert float(p_c) == pytest.approx(pooled, rel=1e-10)
    assert float(p_b) == pytest.approx(pooled, rel=1e-10)


@given(
    counts=st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    q_b=st.floats(1e-7, 0.3),
    excess=st.floats(1e-4, 0.6),
    boundary=st.sampled_from(BOUNDARIES),
)
@settings(max_examples=300, deadline=None)
def test_evidence_is_finite_and_rises_with_the_candidates_failures(
    counts: tuple[int, int],
    shares: tuple[float, float],
    q_b: float,
    excess: float,
    boundary: Boundary,
) -> None:
    n_c, n_b = counts
    q_c = min(float(boundary.limit(q_b)) + excess, 0.9999)
    k_c = np.linspace(0, 1, 5) * n_c
    found = measure_block(Block(n_c, k_c, n_b, shares[1] * n_b), boundary, Side.ABOVE, q_c, q_b)
    assert np.all(np.isfinite(found))
    assert np.all(np.diff(found) >= -1e-6 * np.abs(found).max())


def test_alternative_on_the_hypothesis_own_side_is_an_error() -> None:
    block = Block(10, 1, 100, 1)
    with pytest.raises(ValueError, match="above the limit"):
        measure_block(block, Boundary(1, 0.005), Side.ABOVE, 0.014, 0.01)
    with pytest.raises(ValueError, match="below the limit"):
        measure_block(block, Boundary(1, 0.005), Side.BELOW, 0.016, 0.01)


@pytest.mark.parametrize("block", [Block(0, 0, 100, 3), Block(20, 1, 0, 0), Block(0, 0, 0, 0)])
def test_block_with_an_empty_arm_says_nothing(block: Block) -> None:
    assert measure_block(block, Boundary(1, 0.005), Side.ABOVE, 0.03, 0.01) == 0


@pytest.mark.parametrize(
    ("n_c", "n_b", "empty"), [(1, 1, False), (0, 1, True), (1, 0, True), (0, 0, True)]
)
def test_one_request_of_each_arm_is_enough_for_a_block(n_c: int, n_b: int, empty: bool) -> None:
    block = Block(n_c, n_c, n_b, 0)
    assert bool(block.is_empty) is empty
    evidence = float(measure_block(block, Boundary(1, 0.005), Side.ABOVE, 0.03, 0.01))
    assert (evidence == 0) is empty


def test_correlated_failures_leave_a_single_request_its_weight() -> None:
    """The design effect is 1 + (n - 1) rho: of 101 requests at rho .02 it leaves a third."""
    found = Block(1, 1, 101, 6).deflate(0.02)
    assert (float(found.n_c), float(found.k_c)) == (1, 1)
    assert (float(found.n_b), float(found.k_b)) == pytest.approx((101 / 3, 2))


def policy_of(passes: PassRule, weight: float, limit: float) -> Policy:
    """Give a policy of one stage: its pass test has the last 11 of 21 blocks of one second."""
    stage = Stage(name="one", weight=weight, min="20 s", max="21 s", passes=(passes,))
    changed: dict[str, object] = {}
    if passes == "error_margin":
        changed["error_margin"] = MarginRule(margin=limit)
    if passes == "disagreement":
        changed["disagreement"] = Disagreement(limit=limit)
    rules = LAPTOP.rules.model_copy(update=changed)
    return LAPTOP.model_copy(update={"stages": (stage,), "rules": rules})


@pytest.mark.parametrize(
    ("passes", "weight", "limit"),
    [
        ("disagreement", 0.0, 3.6e-5),  # 10 blocks give 2.74, 11 give 3.03 of the 3.00 needed
        ("error_margin", 0.05, 8.4e-4),
        ("latency_margin", 0.0042, 0.0),
    ],
)
def test_just_enough_blocks_at_the_most_traffic_are_enough(
    passes: PassRule, weight: float, limit: float
) -> None:
    assert find_hopeless(policy_of(passes, weight, limit)) == []


@pytest.mark.parametrize(
    ("passes", "weight", "limit"),
    [
        ("disagreement", 0.0, 3.5e-5),  # 11 blocks give 2.94, 12 would give 3.23
        ("error_margin", 0.05, 8e-4),
        ("latency_margin", 0.004, 0.0),
    ],
)
def test_one_block_too_few_is_hopeless(passes: PassRule, weight: float, limit: float) -> None:
    ((path, problem),) = find_hopeless(policy_of(passes, weight, limit))
    assert path == ("stages", 0, "max")
    assert problem.startswith(f"{passes} cannot be passed by max")

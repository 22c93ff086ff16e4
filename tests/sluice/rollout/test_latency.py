"""Latency as counters hold it: edges, ranks, quantiles and their intervals, limits on edges."""

from math import log2

import numpy as np
import pytest

from sluice.rollout.latency import (
    LatencyLimits,
    bound_quantile,
    bucket_of,
    count_overruns,
    edge_of,
    find_quantile,
    set_limits,
)
from sluice.rollout.observation import Baseline
from support.rollouts.counts import LAPTOP


def histogram_of(values: np.ndarray) -> dict[int, float]:
    found: dict[int, float] = {}
    for value in values:
        bucket = bucket_of(float(value))
        found[bucket] = found.get(bucket, 0.0) + 1
    return found


def test_no_request_has_no_quantile() -> None:
    assert bound_quantile({}) is None


def test_too_few_requests_leave_the_upper_end_open() -> None:
    found = bound_quantile({bucket_of(20.0): 10.0})
    assert found is not None
    middle, low, high = found
    assert middle == low == edge_of(bucket_of(20.0))
    assert high is None


def test_ends_are_the_ranks_of_the_binomial() -> None:
    found = bound_quantile(histogram_of(np.arange(1, 1001) * 10.0))
    assert found is not None
    middle, low, high = found
    assert high is not None
    # Ranks 950 and 950 -+ 1.96 sqrt(1000 .95 .05) = 936.5 and 963.5; a bucket is .9 % wide.
    for figure, rank in ((middle, 950), (low, 936.5), (high, 963.5)):
        assert figure == pytest.approx(rank * 10.0, rel=0.01)


def test_the_interval_holds_the_true_quantile_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    truth = float(np.exp(3.0 + 0.4 * 1.6448536))
    hits = 0
    for _ in range(400):
        found = bound_quantile(histogram_of(rng.lognormal(3.0, 0.4, 400)))
        assert found is not None
        assert found[2] is not None
        hits += found[1] <= truth * 1.009 and truth <= found[2]
    assert hits / 400 >= 0.92


def test_eighty_edges_double_the_time() -> None:
    assert [edge_of(bucket) for bucket in (0, 80, 160, -80)] == [1, 2, 4, 0.5]
    assert edge_of(1) == pytest.approx(2 ** (1 / 80))


@pytest.mark.parametrize("bucket", [-80, -1, 0, 1, 345, 800])
def test_a_latency_on_an_edge_is_within_its_bucket_and_one_above_it_is_not(bucket: int) -> None:
    assert bucket_of(edge_of(bucket)) == bucket
    assert bucket_of(edge_of(bucket) * 1.001) == bucket + 1
    assert bucket_of(edge_of(bucket) * 0.999) == bucket


def test_the_quantile_is_the_first_bucket_that_holds_its_rank() -> None:
    histograms = [{10: 50.0, 20: 45.0}, {20: 0.0, 30: 5.0}]
    assert find_quantile(histograms) == 20
    assert find_quantile(histograms, 0.5) == 10
    assert find_quantile(histograms, 0.51) == 20
    assert find_quantile(histograms, 0.96) == 30
    assert find_quantile([{10: 0.0, 20: 3.0}], 0.0) == 20
    assert find_quantile([{10: 0.0}]) is None


def test_limits_are_eleven_and_eighty_edges_above_the_baseline() -> None:
    """A tenth more is 11.0003 edges: a thousandth of an edge is let go, and no more."""
    assert set_limits(700) == LatencyLimits(700, 711, 780)
    assert set_limits(700, near=2 ** (11.002 / 80)).near == 712
    assert set_limits(700, near=2 ** (11.0009 / 80)).near == 711
    assert set_limits(700, far=4.0).far == 860


def test_the_least_effect_is_rounded_up_to_an_edge() -> None:
    least = 1 + int(80 * log2(1 + 5))  # 1 ms and 5 ms more
    assert set_limits(0, min_effect_ms=5.0) == LatencyLimits(0, least, least)
    assert set_limits(0, min_effect_ms=0.0) == LatencyLimits(0, 11, 80)


def test_failures_and_what_lies_above_the_edge_overrun() -> None:
    assert count_overruns({10: 5.0, 11: 3.0, 12: 2.0}, 4.0, 11) == 6
    assert count_overruns({}, 0.0, 11) == 0


def test_limits_are_read_from_ten_blocks_and_anew_each_fifth() -> None:
    baseline = Baseline().observe({700: 10.0}, LAPTOP)
    assert baseline.limits == LatencyLimits(700, 711, 780)
    ages = [baseline.age]
    for bucket in range(1, 15):
        baseline = baseline.observe({800 + bucket: 10.0}, LAPTOP)
        ages.append(baseline.age)
    assert ages == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert [*map(min, baseline.window)] == [*range(805, 815)]
    assert baseline.limits == LatencyLimits(810, 821, 890)


def test_blocks_without_an_answer_set_no_limits() -> None:
    empty = Baseline().observe({}, LAPTOP)
    assert (empty.limits, empty.window) == (None, ({},))
    assert empty.observe({700: 1.0}, LAPTOP).limits == LatencyLimits(700, 711, 780)


def test_limits_are_the_policys_times_the_champions_p95() -> None:
    limits = set_limits(bucket_of(200.0))
    assert edge_of(limits.near) == pytest.approx(220, rel=0.01)
    assert edge_of(limits.far) == pytest.approx(400, rel=0.01)


@pytest.mark.parametrize("p95", [0.3, 3.0])
def test_what_nobody_feels_is_within_both_limits(p95: float) -> None:
    limits = set_limits(bucket_of(p95), min_effect_ms=5.0)
    assert edge_of(limits.near) >= p95 + 5
    assert edge_of(limits.far) >= p95 + 5
    assert limits.far == limits.near


def test_twice_is_beyond_the_margin_where_it_can_be_felt() -> None:
    limits = set_limits(bucket_of(20.0), min_effect_ms=5.0)
    assert edge_of(limits.near) == pytest.approx(25, rel=0.01)
    assert edge_of(limits.far) == pytest.approx(40, rel=0.01)

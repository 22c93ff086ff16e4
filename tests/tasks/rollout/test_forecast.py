"""The latencies that a forecast assumes are those of the observed traffic."""

import numpy as np
import pytest

from sluice.rollout.latency import bucket_of
from sluice.rollout.simulation.traffic import Traffic
from tasks.rollout.opening import LEAST_SPREAD, describe_latency


def test_median_and_spread_are_the_observed_ones() -> None:
    histogram: dict[int, float] = {}
    for value in np.random.default_rng(4).lognormal(np.log(3.0), 0.6, 20_000):
        bucket = bucket_of(float(value))
        histogram[bucket] = histogram.get(bucket, 0.0) + 1
    assert describe_latency(histogram) == pytest.approx((3.0, 0.6), rel=0.03)


def test_times_that_are_all_alike_have_the_least_spread() -> None:
    assert describe_latency({100: 50.0})[1] == LEAST_SPREAD


def test_without_any_time_those_of_the_simulator_are_assumed() -> None:
    assert describe_latency({}) == (Traffic().latency, Traffic().latency_spread)

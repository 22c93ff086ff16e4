"""A quantile out of a histogram, and how sure one may be of it."""

import numpy as np
import pytest

from sluice.rollout.latency import bound_quantile, bucket_of, edge_of


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

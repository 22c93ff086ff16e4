"""Limits that follow from the champion's P95."""

import pytest

from sluice.rollout.latency import bucket_of, edge_of, set_limits


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

"""The breaker and the sample ratio: published vectors and figures."""

from typing import Any

import numpy as np
import pytest

from sluice.rollout.balance import THRESHOLD, compare_ratio
from sluice.rollout.breaker import Breaker
from support.rollouts.counts import VECTORS


def trip(failures: "np.typing.ArrayLike") -> int | None:
    """Return the request, counted from 1, that trips a new breaker."""
    breaker = Breaker()
    for index, failed in enumerate(np.asarray(failures), 1):
        breaker = breaker.observe(bool(failed))
        if breaker.is_tripped:
            return index
    return None


@pytest.mark.parametrize("vector", VECTORS["breaker"])
def test_published_breaker(vector: dict[str, Any]) -> None:
    assert trip(vector["failures"]) == vector["trips_at"]


@pytest.mark.parametrize(("rate", "median"), [(1.0, 4), (0.5, 11), (0.2, 58)])
def test_median_requests_to_trip_are_those_published(rate: float, median: int) -> None:
    rng = np.random.default_rng(5)
    found = [trip(rng.random(2000) < rate) or 2001 for _ in range(300)]
    assert np.median(found) == pytest.approx(median, rel=0.1)


def test_borne_rate_hardly_ever_trips() -> None:
    rng = np.random.default_rng(6)
    assert sum(trip(rng.random(2000) < 0.05) is not None for _ in range(60)) <= 12


def test_quiet_breaker_is_below_zero() -> None:
    breaker = Breaker()
    for _ in range(200):
        breaker = breaker.observe(False)
    assert breaker.log_evidence < 0


@pytest.mark.parametrize("vector", VECTORS["srm"])
def test_published_sample_ratio(vector: dict[str, Any]) -> None:
    found = compare_ratio(vector["candidate"], vector["champion"], vector["weight"])
    assert found == pytest.approx(vector["log_e"], rel=1e-9)


def test_sample_ratio_holds_at_a_tenth_too_many_and_not_at_the_right_share() -> None:
    assert compare_ratio(5_500, 94_500, 0.05) > THRESHOLD
    assert compare_ratio(5_020, 94_980, 0.05) < 0


@pytest.mark.parametrize("arguments", [(1, 1, 0.0), (1, 1, 1.0), (-1, 5, 0.5)])
def test_impossible_counts_are_refused(arguments: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="allowed: a weight between 0 and 1"):
        compare_ratio(*arguments)

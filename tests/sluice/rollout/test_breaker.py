"""The breaker and the soak's alarm: published vectors and figures."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from sluice.rollout.breaker import THRESHOLD, Breaker
from sluice.rollout.state import Alarm
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


def evidence_of(limit: float, rates: list[float], n: int, k: int) -> float:
    """Give the logarithm of the mean likelihood ratio of rates to a limit."""
    ratios = [binom.logpmf(k, n, rate) - binom.logpmf(k, n, limit) for rate in rates]
    return float(np.log(np.mean(np.exp(ratios))))


@pytest.mark.parametrize(
    ("limit", "rates"),
    [
        (0.05, [0.12, 0.25, 0.5, 0.525]),
        (0.02, [0.048, 0.1, 0.2, 0.36]),
        (0.3, [0.65, 0.65, 0.65, 0.65]),
    ],
)
@pytest.mark.parametrize("k", [8, 20])
def test_alternatives_are_the_breakers_in_proportion_to_the_limit(
    limit: float, rates: list[float], k: int
) -> None:
    """None is higher than half-way from the limit to 1."""
    alarm = Alarm.begin(limit).update(40, k)
    assert float(alarm.log_evidence) == pytest.approx(evidence_of(limit, rates, 40, k))


def test_blocks_add_up_and_good_ones_leave_no_credit() -> None:
    bad = Alarm.begin(0.05).update(40, 8)
    assert float(bad.update(40, 8).log_evidence) == pytest.approx(
        evidence_of(0.05, [0.12, 0.25, 0.5, 0.525], 80, 16)
    )
    good = Alarm.begin(0.05).update(400, 0)
    assert float(good.log_evidence) < 0
    assert np.allclose(good.update(40, 8).sums, bad.sums)


def test_it_is_raised_at_the_breakers_threshold() -> None:
    """Of failures alone the fastest alternative gains log 10.5 a request."""
    raised = [bool(Alarm.begin(0.05).update(k, k).is_raised) for k in range(1, 8)]
    found = raised.index(True) + 1
    assert raised == [False] * (found - 1) + [True] * (8 - found)
    assert found == next(
        k for k in range(1, 8) if evidence_of(0.05, [0.12, 0.25, 0.5, 0.525], k, k) >= THRESHOLD
    )

"""Figures of traffic by minute: sums over windows, percentiles, and what proves nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.monitoring.traffic import TrafficHistory, TrafficView, list_steps
from support.monitoring import MINUTE, NOON, SERVICE, make_rule

START = NOON.timestamp()


def view(history: TrafficHistory, capacity: float | None = None) -> TrafficView:
    return TrafficView(SERVICE, history, capacity)


def fill(requests: int = 600, failed: int = 0, minutes: int = 10) -> TrafficHistory:
    """Requests spread evenly over minutes from noon, of 1 to 100 ms; the first ones failed."""
    history = TrafficHistory(first_request=START - 3600)
    at = START + np.linspace(0, minutes * 60, requests, endpoint=False)
    latency = np.linspace(1.0, 100.0, requests)
    history.add_answers(at, np.arange(requests) < failed, latency)
    return history


def test_percentiles_are_those_of_the_answered_requests() -> None:
    rng = np.random.default_rng(5)
    latency = rng.lognormal(3, 1, 5000)
    history = TrafficHistory()
    history.add_answers(START + rng.uniform(0, 300, 5000), np.zeros(5000, bool), latency)
    for name, quantile in (("latency-p50", 0.5), ("latency-p95", 0.95), ("latency-p99", 0.99)):
        found = view(history).measure(make_rule(signal=name, above=1), NOON + 5 * MINUTE)
        assert found.value == pytest.approx(np.quantile(latency, quantile), rel=0.01)
        assert found.n == 5000


def test_a_failed_request_has_no_latency() -> None:
    history = TrafficHistory()
    history.add_answers([START, START + 1], [True, False], [0.0, 50.0])
    found = view(history).measure(make_rule(signal="latency-p95", above=1), NOON + 5 * MINUTE)
    assert (found.n, found.value) == (1, pytest.approx(50, rel=0.01))


def test_failures_are_a_share_of_all_requests() -> None:
    found = view(fill(600, 9)).measure(make_rule(window="10 min"), NOON + 10 * MINUTE)
    assert (found.value, found.n) == (9 / 600, 600)


def test_throughput_is_a_share_of_capacity() -> None:
    rule = make_rule(signal="throughput-share", above=0.8, window="10 min")
    assert view(fill(600), 2.0).measure(rule, NOON + 10 * MINUTE).value == pytest.approx(0.5)
    without = view(fill(600)).measure(rule, NOON + 10 * MINUTE)
    assert (without.value, without.reason) == (None, "`monitoring.capacity` is not in its file")


@pytest.mark.parametrize("signal", ["failure-share", "latency-p95"])
def test_a_window_without_requests_is_not_measured(signal: str) -> None:
    found = view(fill()).measure(make_rule(signal=signal, above=0.5), NOON + 60 * MINUTE)
    assert found.value is None
    assert "request in the window" in found.reason


def test_silence_after_traffic_is_zero_requests() -> None:
    rule = make_rule(signal="requests", below=1, window="15 min")
    assert view(fill()).measure(rule, NOON + 60 * MINUTE).value == 0


def test_silence_before_the_first_request_proves_nothing() -> None:
    rule = make_rule(signal="requests", below=1, window="15 min")
    found = view(TrafficHistory()).measure(rule, NOON)
    assert (found.value, found.reason) == (None, "no request was ever logged")


def test_silence_of_a_service_that_began_later_proves_nothing() -> None:
    history = TrafficHistory()
    history.add_answers([START + 120], [False], [1.0])
    found = view(history).measure(make_rule(signal="requests", below=1), NOON + MINUTE)
    assert (found.value, found.reason) == (None, "the first request came within the window")


def test_feedback_counts_by_its_arrival_beside_the_requests() -> None:
    history = fill(120, minutes=2)
    history.add_feedback([START + 5, START + 65])
    rule = make_rule(signal="feedbacks", below=1, window="2 min")
    found = view(history).measure(rule, NOON + 2 * MINUTE)
    assert (found.value, found.n) == (2, 120)


@given(
    st.lists(st.tuples(st.integers(0, 1199), st.booleans(), st.floats(0, 1e5)), max_size=60),
    st.integers(0, 60),
)
def test_reading_in_parts_counts_the_same(rows: list[tuple[int, bool, float]], cut: int) -> None:
    whole, parts = TrafficHistory(), TrafficHistory()
    for history, pieces in ((whole, [rows]), (parts, [rows[:cut], rows[cut:]])):
        for piece in pieces:
            at, failed, latency = ([row[place] for row in piece] for place in range(3))
            history.add_answers([START + item for item in at], failed, latency)
    assert whole.minutes == parts.minutes
    assert whole.sum_window(START, START + 1200).requests == len(rows)


def test_steps_are_the_whole_minutes_since_the_last_one() -> None:
    until = NOON + timedelta(minutes=3, seconds=40)
    assert list(list_steps(NOON, until)) == [NOON + n * MINUTE for n in (1, 2, 3)]


def test_a_rule_that_was_never_judged_begins_with_the_last_minute() -> None:
    assert list(list_steps(None, NOON + timedelta(seconds=59))) == [NOON]


def test_a_monitor_that_was_down_for_a_day_has_every_minute_to_judge() -> None:
    steps = list(list_steps(NOON, NOON + timedelta(days=1)))
    assert len(steps) == 1440
    assert steps[0].tzinfo is UTC
    assert steps[-1] == datetime(2026, 12, 1, 12, tzinfo=UTC)

"""When a call is tried again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.prompts.calls.waits import is_transient, plan_wait, read_wait

NOW = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Tue, 01 Dec 2026 12:00:09 GMT"}, 9),
        ({"retry-after": "Tue, 01 Dec 2026 11:00:00 GMT"}, 0),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_a_server_s_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert read_wait(headers, NOW) == seconds


@given(st.integers(1, 1000), st.floats(0, 0.999), st.floats(0, 1000))
def test_a_wait_is_within_its_bounds(attempt: int, draw: float, longest: float) -> None:
    wait = plan_wait(min(attempt, 1000), None, longest, draw)
    assert wait is not None
    assert 0 <= wait <= longest


def test_waits_double_and_the_server_s_is_not_shortened() -> None:
    assert [plan_wait(n, None, 30, 0.0) for n in (1, 2, 3, 9)] == [0.5, 1, 2, 30]
    assert plan_wait(1, 20.0, 30, 0.9) == 20
    assert plan_wait(1, 31.0, 30, 0.0) is None


def test_429_and_500_and_above_may_succeed_later() -> None:
    assert [
        status for status in (200, 302, 400, 401, 404, 429, 500, 503, 529) if is_transient(status)
    ] == [429, 500, 503, 529]
    assert not is_transient(429, '{"error": {"code": "insufficient_quota"}}')

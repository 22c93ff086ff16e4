"""The last windows of a reference: each once, in order, a bounded number."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.drift.live.report import TrendPoint
from sluice.drift.live.trend import MOST_WINDOWS, SHOWN, read_points, write_trend

END = datetime(2026, 11, 23, 12, tzinfo=UTC)


def point(hour: int, distance: float = 0.1) -> TrendPoint:
    return TrendPoint(END + timedelta(hours=hour), {"data": distance}, {"age": distance})


def fill(hours: list[int], reference: str = "training") -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for hour in hours:
        entries = write_trend(entries, reference, point(hour))
    return entries


def test_windows_are_in_order_whatever_the_order_of_runs() -> None:
    found = read_points(fill([2, 0, 1]), "training")
    assert [one.end for one in found] == [point(hour).end for hour in range(3)]


def test_a_window_again_replaces_itself() -> None:
    entries = write_trend(fill([0, 1]), "training", point(0, 0.5))
    assert [one.largest["data"] for one in read_points(entries, "training")] == [0.5, 0.1]


def test_each_reference_has_its_own_windows() -> None:
    entries = write_trend(fill([0, 1]), "trailing 7 d", point(1, 0.4))
    assert len(read_points(entries, "training")) == 2
    assert [one.columns for one in read_points(entries, "trailing 7 d")] == [{"age": 0.4}]


def test_a_week_of_hours_is_kept_and_two_days_are_shown() -> None:
    entries = fill(list(range(MOST_WINDOWS + 20)))
    assert len(entries) == MOST_WINDOWS
    assert len(read_points(entries, "training")) == SHOWN


@pytest.mark.parametrize(
    "damaged", [None, {}, [1], [{"reference": "training"}], [{"reference": "training", "end": "?"}]]
)
def test_what_is_damaged_is_left_out(damaged: Any) -> None:
    assert read_points(damaged, "training") == ()

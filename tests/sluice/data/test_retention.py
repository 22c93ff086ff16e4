"""Ages are counted from the newest record; hours that are old wait before they are deleted."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.data.retention import (
    HOUR_FORMAT,
    WAIT_SECONDS,
    Pause,
    Retention,
    accept_hours,
    believe_hours,
    choose_old,
    describe_ahead,
    find_due,
    longest_gap,
    read_hour,
    stop_deleting,
    wait_longer,
)

START = read_hour("2026-11-01T00")


def hour(days: float) -> str:
    return (START + timedelta(days=days)).strftime(HOUR_FORMAT)


@given(st.lists(st.integers(0, 24 * 60), min_size=1), st.integers(24 * 70, 24 * 4000))
def test_hours_far_after_all_others_make_nothing_old(hours: list[int], ahead: int) -> None:
    """Whatever a log holds: records of a clock that is ahead change no age."""
    usual = {hour(item / 24) for item in hours}
    before = believe_hours(Retention(), usual, 30)
    after = believe_hours(before, usual | {hour(ahead / 24)}, 30)
    assert (after.newest, bool(after.ahead)) == (before.newest, True)


def test_time_goes_on_with_the_records() -> None:
    found = Retention()
    for day in range(0, 60, 3):
        found = believe_hours(found, {hour(day - 3), hour(day)}, 30)
        assert (found.newest, found.ahead) == (hour(day), "")


def test_records_of_a_clock_that_was_set_right_again_are_believed() -> None:
    found = believe_hours(Retention(), {hour(0), hour(40)}, 30)
    found = believe_hours(found, {hour(0), hour(1), hour(40)}, 30)
    assert (found.newest, found.ahead) == (hour(1), hour(40))
    assert describe_ahead(found).startswith("traffic log: records of 2026-12-11T00 (UTC) come 39.0")
    assert "sluice retention --accept" in describe_ahead(found)


def test_a_gap_that_deleting_left_is_no_alarm() -> None:
    found = believe_hours(Retention(newest=hour(20)), {hour(0), hour(20), hour(21)}, 30)
    assert (found.newest, found.ahead) == (hour(21), "")


@pytest.mark.parametrize(("days", "gap"), [(30, 72), (8, 48), (1, 6), (0.01, 1)])
def test_the_shorter_rows_are_kept_the_shorter_a_gap_is_believed(days: float, gap: float) -> None:
    assert longest_gap(days) == timedelta(hours=gap)


def test_old_hours_and_those_beyond_the_size_are_chosen_and_the_last_never() -> None:
    sizes = {hour(day): 10 for day in range(6)}
    assert choose_old(sizes, hour(5), 3, 1000) == [hour(0), hour(1)]
    assert choose_old(sizes, hour(5), 30, 25) == [hour(0), hour(1), hour(2), hour(3)]
    assert choose_old({hour(0): 10}, hour(90), 3, 1) == []
    assert choose_old(sizes, "", 3, 1) == []


def test_an_hour_that_is_kept_after_all_stops_waiting() -> None:
    found = wait_longer(Retention(), {"feedback": [hour(0), hour(1)]}, 600)
    assert find_due(found, "feedback") == []
    found = wait_longer(found, {"feedback": [hour(1)], "answers/employment": [hour(1)]}, 600)
    assert found.waiting == {"feedback": {hour(1): 600}, "answers/employment": {hour(1): 0}}
    found = wait_longer(found, {"feedback": [hour(0), hour(1)]}, WAIT_SECONDS - 600)
    assert find_due(found, "feedback") == [hour(1)], "the other one begins again"


def test_while_deleting_is_stopped_nothing_waits_and_acceptance_is_forgotten() -> None:
    found = accept_hours(Retention(hour(0), hour(40)), [hour(0), hour(40)])
    assert (found.newest, found.ahead) == (hour(40), "")
    found = wait_longer(found, {"feedback": [hour(0)]}, 0)
    found = stop_deleting(found, Pause("Ada", "the clock was wrong", "now"))
    assert found.count_waiting() == wait_longer(found, {"feedback": [hour(0)]}, 9e9).count_waiting()
    assert believe_hours(found, [hour(0), hour(40)], 30).newest == hour(0)

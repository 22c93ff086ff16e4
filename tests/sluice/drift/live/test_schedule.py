"""Windows lie side by side; each is due once, oldest first, a bounded number at a time."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config.monitoring.drift import DriftConfig
from sluice.drift.live.schedule import (
    Window,
    find_newest,
    list_due,
    list_earlier,
    name_reference,
)

NOW = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)
HOURLY = DriftConfig()


def at(hour: float) -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=hour)


def test_a_window_is_due_when_its_log_has_settled() -> None:
    assert find_newest(HOURLY, NOW) == Window(at(11), at(12))
    assert find_newest(HOURLY, at(12) + timedelta(seconds=119)) == Window(at(10), at(11))


def test_the_first_run_looks_at_the_newest_window_only() -> None:
    due = list_due(HOURLY, None, at(0), NOW)
    assert due.windows == (Window(at(11), at(12)),)


def test_after_an_absence_each_missed_window_is_due_oldest_first() -> None:
    due = list_due(HOURLY, at(8), at(0), NOW)
    assert due.windows == tuple(Window(at(hour), at(hour + 1)) for hour in (8, 9, 10, 11))
    assert due.left == 0


def test_a_long_absence_is_caught_up_in_parts() -> None:
    due = list_due(DriftConfig(catch_up=3), at(2), at(0), NOW)
    assert (due.windows[0].start, len(due.windows), due.left) == (at(2), 3, 7)


def test_windows_before_the_oldest_answer_are_not_looked_at() -> None:
    due = list_due(HOURLY, at(-1000), at(10), NOW)
    assert due.windows == (Window(at(10), at(11)), Window(at(11), at(12)))


def test_nothing_is_due_twice() -> None:
    assert list_due(HOURLY, at(12), at(0), NOW).windows == ()
    assert list_due(HOURLY, at(13), at(0), NOW).windows == ()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([0.005, 0.05, 0.5, 1.0, 6.0, 24.0]), st.integers(0, 200), st.integers(1, 7))
def test_runs_one_after_another_judge_every_window_once(
    length: float, missed: int, catch_up: int
) -> None:
    config = DriftConfig(window_hours=length, catch_up=catch_up)
    newest = find_newest(config, NOW)
    last = newest.end - missed * timedelta(hours=length)
    seen = []
    for _ in range(missed + 1):
        due = list_due(config, last, None, NOW)
        seen += due.windows
        last = due.windows[-1].end if due.windows else last
    assert len(seen) == missed
    assert all(one.end == two.start for one, two in itertools.pairwise(seen))
    assert not missed or seen[-1] == newest


def test_trailing_windows_end_where_the_window_starts() -> None:
    found = list_earlier(DriftConfig(trailing_days=1), "trailing", Window(at(11), at(12)))
    assert (found[0].start, found[-1].end, len(found)) == (at(-13), at(11), 24)


def test_same_weekdays_are_the_same_hours_of_earlier_weeks() -> None:
    found = list_earlier(DriftConfig(weeks=2), "same_weekday", Window(at(11), at(12)))
    assert [one.start for one in found] == [at(11 - 336), at(11 - 168)]


def test_training_has_no_earlier_windows() -> None:
    assert list_earlier(HOURLY, "training", Window(at(11), at(12))) == ()


def test_references_have_names_for_people() -> None:
    names = [name_reference(HOURLY, one) for one in ("training", "trailing", "same_weekday")]
    assert names == ["training", "trailing 7 d", "same weekday, 4 weeks"]

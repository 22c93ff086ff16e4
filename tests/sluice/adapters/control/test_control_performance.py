"""Judged windows on a real database: each once, and each change emitted by one monitor."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

from sluice.adapters.control.monitoring.performance import GRACE, JudgedWindow
from sluice.adapters.control.store import Control, open_control
from sluice.home import Home

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
FIRST = JudgedWindow(
    "employment", 3, 1, NOW, "r499", True, 0, "performance.dropped", {"p": 0.0}, {"n": 500}, NOW
)


def test_version_without_windows_has_none(control: Control) -> None:
    assert control.performance.find_last("employment", 3) is None


def test_last_window_is_the_one_with_the_highest_number(control: Control) -> None:
    for number in (1, 2, 10):
        assert control.performance.add(replace(FIRST, number=number))
    assert control.performance.find_last("employment", 3) == replace(FIRST, number=10)
    found = control.performance.list_last("employment", 3, 2)
    assert [window.number for window in found] == [10, 2]
    assert control.performance.find_last("employment", 4) is None


def test_kinds_are_counted_apart(control: Control) -> None:
    control.performance.add(replace(FIRST, kind="estimated", number=4))
    assert control.performance.find_last("employment", 3) is None
    assert control.performance.add(FIRST)
    found = control.performance.find_last("employment", 3, "estimated")
    assert found is not None
    assert found.number == 4


def test_window_is_added_once_and_the_first_one_stays(control: Control) -> None:
    assert control.performance.add(FIRST)
    assert not control.performance.add(replace(FIRST, last_request="other"))
    assert control.performance.find_last("employment", 3) == FIRST


def test_two_monitors_at_once_add_a_window_once(store: Home, control: Control) -> None:
    barrier, won = Barrier(4), []

    def add() -> None:
        mine = open_control(store)
        barrier.wait()
        won.append(mine.performance.add(FIRST))

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]


def test_change_goes_to_one_monitor(control: Control) -> None:
    control.performance.add(FIRST)
    control.performance.add(replace(FIRST, number=2, event=""))
    assert control.performance.claim_events("employment", NOW) == [FIRST]
    assert control.performance.claim_events("employment", NOW) == []


def test_change_of_a_monitor_that_was_killed_goes_to_the_next(control: Control) -> None:
    control.performance.add(FIRST)
    control.performance.claim_events("employment", NOW)
    later = NOW + GRACE + timedelta(seconds=1)
    assert control.performance.claim_events("employment", later) == [FIRST]
    control.performance.settle_event(FIRST, later)
    assert control.performance.claim_events("employment", later + 2 * GRACE) == []

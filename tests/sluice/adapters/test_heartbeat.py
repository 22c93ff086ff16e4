"""A watcher knows how long a process has not moved, in the time in which it watched."""

import socket
from collections.abc import Iterator

import pytest

from sluice.adapters.heartbeat import LONGEST_GAP, ProcessHeartbeat, Watch


@pytest.fixture
def pair() -> Iterator[tuple[ProcessHeartbeat, Watch]]:
    mine, its = socket.socketpair()
    watch = Watch(mine, 0.0)
    heartbeat = ProcessHeartbeat(its.detach())
    yield heartbeat, watch
    watch.close()
    heartbeat.close()


def test_a_process_that_beats_moves_and_says_whether_it_works(
    pair: tuple[ProcessHeartbeat, Watch],
) -> None:
    heartbeat, watch = pair
    watch.read(0.5)
    assert (watch.has_moved, watch.works, watch.still_seconds) == (True, False, 0.0)
    heartbeat.beat()
    watch.read(1.0)
    assert (watch.works, watch.still_seconds) == (True, 0.0)
    heartbeat.beat(works=False)
    watch.read(1.5)
    assert not watch.works


def test_silence_is_counted_until_the_next_beat(pair: tuple[ProcessHeartbeat, Watch]) -> None:
    heartbeat, watch = pair
    for tenth in range(1, 31):
        watch.read(tenth / 10)
    assert watch.still_seconds == pytest.approx(2.9)  # the first read had the beat of the start
    heartbeat.beat()
    watch.read(3.1)
    assert watch.still_seconds == 0.0


def test_a_machine_that_slept_makes_nobody_stand_still(
    pair: tuple[ProcessHeartbeat, Watch],
) -> None:
    _, watch = pair
    watch.read(0.1)
    watch.read(3600.0)
    assert watch.still_seconds == LONGEST_GAP


def test_the_end_of_the_process_closes_the_watch(pair: tuple[ProcessHeartbeat, Watch]) -> None:
    heartbeat, watch = pair
    heartbeat.beat()
    heartbeat.close()
    watch.read(0.1)
    assert (watch.is_closed, watch.works) == (True, True)


def test_a_watcher_that_does_not_read_or_has_ended_stops_nobody(
    pair: tuple[ProcessHeartbeat, Watch],
) -> None:
    heartbeat, watch = pair
    for _ in range(100_000):
        heartbeat.beat()
    watch.close()
    heartbeat.beat()
    heartbeat.beat()


def test_a_second_watcher_hears_from_now_on(pair: tuple[ProcessHeartbeat, Watch]) -> None:
    heartbeat, _ = pair
    heartbeat.beat()
    mine, its = socket.socketpair()
    heartbeat.add(its)
    second = Watch(mine, 0.0)
    second.read(0.1)
    assert second.works
    second.close()

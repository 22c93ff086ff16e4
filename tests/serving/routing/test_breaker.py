"""A replica's breaker breakers: they trip as published, for all workers, and half-open again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.log.records import AssignedArm
from serving.routing.breaker import (
    ARMS,
    COPY,
    FIRST_WAIT,
    LONGEST_WAIT,
    NAME,
    SUCCESSES,
    Admission,
    CircuitBreaker,
    ReplicaBreakers,
)
from sluice.rollout.breaker import Breaker

ARM = ("employment", 4, AssignedArm.CANDIDATE)


def trip(now: float = 0.0) -> CircuitBreaker:
    return CircuitBreaker().observe([True] * 4, now)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[ReplicaBreakers]:
    breaker = ReplicaBreakers(tmp_path / "breakers")
    yield breaker
    breaker.close()


def test_four_failures_open_it() -> None:
    assert CircuitBreaker().observe([True] * 3, 0.0).is_closed
    assert not trip().is_closed


def test_an_open_breaker_admits_one_probe_a_second_after_its_wait() -> None:
    breaker = trip(now=100.0)
    admissions = []
    for tenth in range(10 * 34):
        admission, breaker = breaker.admit(100.0 + tenth / 10)
        admissions.append(admission)
    assert {item for item in admissions[: 10 * 30]} == {Admission.NO}
    assert admissions.count(Admission.PROBE) == 4
    assert Admission.YES not in admissions


def test_twenty_successful_probes_close_it() -> None:
    breaker = trip()
    for number in range(SUCCESSES):
        assert not breaker.is_closed
        breaker = breaker.observe_probe(False, FIRST_WAIT + number)
    assert breaker == CircuitBreaker(trips=1)


def test_failed_probe_doubles_the_wait_up_to_ten_minutes() -> None:
    breaker, now, waits = trip(), 0.0, []
    for _ in range(7):
        now += breaker.wait
        breaker = breaker.observe_probe(False, now).observe_probe(True, now)
        waits.append(breaker.wait)
        assert breaker.admit(now + breaker.wait - 0.1)[0] is Admission.NO
        assert breaker.successes == 0
    assert waits == [60, 120, 240, 480, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]


def test_requests_in_flight_when_it_opened_change_nothing() -> None:
    breaker = trip()
    assert breaker.observe([False] * 100, 1.0) is breaker
    assert breaker.observe_probe(True, 1.0) is breaker


def test_after_a_restart_of_the_clock_it_waits_once_more() -> None:
    admission, breaker = trip(now=1e6).admit(5.0)
    assert admission is Admission.NO
    assert breaker.admit(5.0 + FIRST_WAIT + 1)[0] is Admission.PROBE


def test_file_has_exactly_what_the_breaker_computes(shared: ReplicaBreakers) -> None:
    expected = Breaker()
    for failed in np.random.default_rng(7).random(400) < 0.05:
        shared.observe(*ARM, [bool(failed)], 0.0)
        expected = expected.observe(bool(failed))
    assert shared.read(*ARM).breaker == expected


def test_workers_trip_it_together(shared: ReplicaBreakers, tmp_path: Path) -> None:
    other = ReplicaBreakers(tmp_path / "breakers")
    opened = [worker.observe(*ARM, [True], 0.0) for worker in (shared, other, shared, other)]
    assert opened == [False, False, False, True]
    assert shared.admit(*ARM, 1.0) is Admission.NO
    assert [item.admit(*ARM, 31.0) for item in (shared, other)] == [Admission.PROBE, Admission.NO]
    other.close()


def test_arms_are_separate(shared: ReplicaBreakers) -> None:
    arms = [("employment", version, AssignedArm.CANDIDATE) for version in range(300)]
    for arm in arms:
        shared.observe(*arm, [True] * (arm[1] % 2 * 4), 0.0)
    assert [shared.read(*arm).is_closed for arm in arms] == [arm[1] % 2 == 0 for arm in arms]


def test_more_arms_than_slots_are_refused(shared: ReplicaBreakers) -> None:
    for version in range(ARMS):
        shared.read("employment", version, AssignedArm.CHAMPION)
    with pytest.raises(ValueError, match=f"more than {ARMS} arms"):
        shared.read("employment", ARMS, AssignedArm.CHAMPION)


def test_torn_copy_leaves_the_one_before(shared: ReplicaBreakers) -> None:
    shared.observe(*ARM, [True], 0.0)
    before = shared.read(*ARM)
    shared.observe(*ARM, [True], 0.0)
    slot = shared._find_slot(*ARM)
    start = slot + NAME + 2 % 2 * COPY
    shared._memory[start + 12] ^= 0xFF
    assert shared.read(*ARM) == before


@pytest.mark.slow
def test_concurrent_workers_lose_no_request(shared: ReplicaBreakers, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from serving.routing.breaker import ReplicaBreakers
from serving.log.records import AssignedArm
breaker = ReplicaBreakers(Path({str(tmp_path / "breakers")!r}))
for number in range(3000):
    breaker.observe("employment", 4, AssignedArm.CANDIDATE, [False], 0.0)
"""
    workers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    sequence, _ = shared._read(shared._find_slot(*ARM))
    assert sequence == 6000


@pytest.mark.slow
def test_killed_holder_leaves_nothing_locked(shared: ReplicaBreakers, tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from serving.routing.breaker import ReplicaBreakers
from serving.log.records import AssignedArm
breaker = ReplicaBreakers(Path({str(tmp_path / "breakers")!r}))
with breaker._locked(breaker._find_slot("employment", 4, AssignedArm.CANDIDATE)):
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(20)
    assert not shared.observe(*ARM, [True], 0.0)
    assert shared.read(*ARM).breaker == Breaker().observe(True)

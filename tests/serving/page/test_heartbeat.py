"""A rollout's heartbeat is timed by this process's own clock after the first tick it saw."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.page.reading import HeartbeatWatch
from serving.page.wording import write_seconds
from sluice.adapters.control.store import open_control
from sluice.control.lease import Lease
from sluice.home import Home
from sluice.rollout.record import RolloutRecord, RolloutSummary
from sluice.rollout.state import Phase
from support.rollouts.store import StoredRollout

WRITTEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLOCK = WRITTEN.timestamp()
LEASE = Lease("town", "rollout", "amber-otter (flow run 1)", 1, 15.0, 3)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RolloutRecord:
    control = open_control(Home(Path(tmp_path_factory.mktemp("ticking"))))
    control.prepare()
    return StoredRollout(control, "town").record


@pytest.fixture
def summary() -> RolloutSummary:
    return RolloutSummary("town", 1, 1, 2, Phase.SHADOW, 5, WRITTEN, None, WRITTEN)


def test_the_first_check_goes_by_the_last_record(
    record: RolloutRecord, summary: RolloutSummary
) -> None:
    heartbeat = HeartbeatWatch().check(summary, record, LEASE, now=0.0, clock=CLOCK + 100)
    assert (heartbeat.tick_age, heartbeat.controller) == (100.0, "amber-otter")
    assert heartbeat.warning == "No tick for 2 min: what is shown is old."


def test_a_writer_whose_clock_is_behind_is_believed_after_a_tick(
    record: RolloutRecord, summary: RolloutSummary
) -> None:
    watch = HeartbeatWatch()
    watch.check(summary, record, LEASE, now=0.0, clock=CLOCK + 100)
    next_one = replace(summary, tick=6)
    assert watch.check(next_one, record, LEASE, now=1.0, clock=CLOCK + 101).warning == ""
    later = watch.check(next_one, record, replace(LEASE, renewal=9), now=31.0, clock=CLOCK + 131)
    assert later.tick_age == 30.0
    assert later.warning.endswith("Its controller is alive, but writes nothing.")


def test_a_lease_that_stands_still_is_a_controller_that_is_gone(
    record: RolloutRecord, summary: RolloutSummary
) -> None:
    watch = HeartbeatWatch()
    watch.check(summary, record, LEASE, now=0.0, clock=CLOCK)
    assert watch.check(summary, record, LEASE, now=5.0, clock=CLOCK + 5).warning == ""
    gone = watch.check(summary, record, LEASE, now=16.0, clock=CLOCK + 16)
    assert gone.warning.startswith("No tick for 16 s: what is shown is old. The controller is gone")


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 s"), (240, "4 min"), (7200, "2.0 h"), (260_000, "3 days")]
)
def test_durations_are_written_in_their_unit(seconds: float, words: str) -> None:
    assert write_seconds(seconds) == words

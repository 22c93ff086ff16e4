"""Causes of retraining on a real database: the newest event of a subject, decided once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sluice.adapters.control.store import Control
from sluice.control.lease import Lease
from sluice.control.retraining import Retraining, RetrainingCause, WaitingFor
from sluice.errors import LeaseLost

SERVICE = "employment"
AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
CAUSE = RetrainingCause(
    SERVICE, "performance", "performance measured", AT, "accuracy .71", 3, AT - timedelta(hours=2)
)
STARTED = Retraining(SERVICE, AT, "performance.dropped: accuracy .71", 3, AT)


def test_a_cause_reads_back_and_a_copy_is_known(control: Control) -> None:
    assert control.retrainings.record(CAUSE)
    assert not control.retrainings.record(CAUSE)
    assert control.retrainings.list_open(SERVICE) == [CAUSE]
    assert control.retrainings.list_open("arrivals") == []


def test_the_newest_event_of_a_subject_stays_whatever_the_order(control: Control) -> None:
    over = replace(CAUSE, at=AT + timedelta(minutes=1), is_over=True, since=None, version=None)
    assert control.retrainings.record(over)
    assert not control.retrainings.record(CAUSE)
    assert control.retrainings.list_causes(SERVICE) == [over]


def test_an_event_of_a_clock_ahead_counts_as_of_now(control: Control) -> None:
    ahead = replace(CAUSE, at=AT + timedelta(days=400))
    assert control.retrainings.record(ahead, AT)
    assert control.retrainings.list_open(SERVICE) == [CAUSE]
    later = AT + timedelta(minutes=1)
    over = replace(CAUSE, at=later, is_over=True, since=None, version=None)
    assert control.retrainings.record(over, later)
    assert [item.is_over for item in control.retrainings.list_open(SERVICE)] == [True]


def test_a_cause_that_was_stored_ahead_is_followed_and_corrected(control: Control) -> None:
    control.retrainings.record(replace(CAUSE, at=AT + timedelta(days=400)))
    newer = replace(CAUSE, at=AT, reason="accuracy .70")
    assert not control.retrainings.record(newer, AT)
    control.retrainings.bound_times(SERVICE, AT)
    assert control.retrainings.list_open(SERVICE) == [CAUSE]
    assert control.retrainings.record(replace(newer, at=AT + timedelta(seconds=1)))


def test_a_decision_closes_a_cause_unless_a_newer_event_came(control: Control) -> None:
    control.retrainings.record(CAUSE)
    newer = replace(CAUSE, at=AT + timedelta(minutes=1), since=CAUSE.since)
    control.retrainings.record(newer)
    closed = replace(CAUSE, is_closed=True, decision="answered")
    control.retrainings.note_decision([closed])
    assert control.retrainings.list_open(SERVICE) == [newer]
    control.retrainings.note_decision([replace(closed, at=newer.at)])
    assert control.retrainings.list_open(SERVICE) == []
    assert [item.decision for item in control.retrainings.list_causes(SERVICE)] == ["answered"]


def test_a_start_is_recorded_with_its_causes_before_its_run(control: Control, lease: Lease) -> None:
    control.retrainings.record(CAUSE)
    waiting = replace(CAUSE, waits=WaitingFor.RELEASE, decision="enough labels")
    started = control.retrainings.start(lease, STARTED, [waiting])
    assert started == replace(STARTED, number=1)
    assert control.retrainings.find_newest(SERVICE) == started
    assert control.retrainings.list_open(SERVICE) == [waiting]
    control.retrainings.note_run(started, "run 1")
    assert control.retrainings.find_run(SERVICE, "run 1") == replace(started, run="run 1")
    assert control.retrainings.find_run(SERVICE, "run 2") is None
    second = control.retrainings.start(lease, STARTED, [])
    assert second.key != started.key
    assert control.retrainings.find_newest(SERVICE) == second


def test_a_run_that_lost_its_lease_starts_nothing(control: Control, lease: Lease) -> None:
    control.retrainings.record(CAUSE)
    assert control.leases.take(lease, "second", 15) is not None
    with pytest.raises(LeaseLost):
        control.retrainings.start(lease, STARTED, [replace(CAUSE, is_closed=True)])
    assert control.retrainings.find_newest(SERVICE) is None
    assert control.retrainings.list_open(SERVICE) == [CAUSE]

"""States of drift in the control store, on each kind of database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.adapters.control.store import Control
from sluice.control.drift import AlarmChange, DriftedFeature, DriftState, WindowOutcome
from sluice.errors import DataInvalid

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
FEATURE = DriftedFeature("age", {"psi": 0.31, "js": None}, "significant", ("distribution",))


def make(hours: int, kind: str = "data", **facts: Any) -> DriftState:
    end = AT + timedelta(hours=hours)
    state = DriftState(
        *("town", kind, "training", 3), end - timedelta(hours=1), end, WindowOutcome.CLEAN
    )
    return replace(state, **facts)


OPENED = make(
    2,
    outcome=WindowOutcome.ALARM,
    is_open=True,
    change=AlarmChange.OPENED,
    since=AT,
    recent=(False, True, True),
    rows=2412,
    features=(FEATURE,),
    reason="age moved",
    report="http://127.0.0.1:5000/#/r",
    flow_run="flow",
)


def test_a_state_comes_back_as_it_was_recorded(control: Control) -> None:
    assert control.drift.record(OPENED)
    assert control.drift.list_newest("town") == [OPENED]
    assert control.drift.find_newest("town", "data", "training") == OPENED
    assert control.drift.find_newest("town", "joint", "training") is None


def test_changes_stay_and_of_other_windows_only_the_newest(control: Control) -> None:
    for state in (make(0), make(1), OPENED, make(3, is_open=True), make(4, is_open=True)):
        assert control.drift.record(state)
    closed = make(5, change=AlarmChange.CLOSED, since=AT)
    assert control.drift.record(closed)
    assert control.drift.record(make(6))
    assert control.drift.list_newest("town") == [make(6)]
    assert control.drift.list_changes("town", 5) == [closed, OPENED]


def test_a_window_counts_once_and_a_late_one_not_at_all(control: Control) -> None:
    assert control.drift.record(OPENED)
    assert not control.drift.record(replace(OPENED, rows=1))
    assert not control.drift.record(make(1))
    assert control.drift.list_newest() == [OPENED]


def test_kinds_references_and_services_are_apart(control: Control) -> None:
    states = [
        make(0, "data"),
        make(1, "joint"),
        make(2, "data", reference="trailing"),
        make(3, "data", service="other"),
    ]
    for state in states:
        assert control.drift.record(state)
    assert len(control.drift.list_newest()) == 4
    assert {item.kind for item in control.drift.list_newest("town")} == {"data", "joint"}


def test_a_score_that_is_no_number_is_refused(control: Control) -> None:
    bad = make(0, features=(DriftedFeature("age", {"psi": float("nan")}),))
    with pytest.raises(DataInvalid, match="psi of age"):
        control.drift.record(bad)
    assert control.drift.list_newest() == []

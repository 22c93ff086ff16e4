"""What monitors wrote is read for all services at once; what was never judged is told apart."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from sluice.adapters.control.store import Control
from sluice.control.drift import DriftState, WindowOutcome

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
TIME = AT.isoformat(timespec="microseconds")
FIRING = {
    "phase": "firing",
    "outcome": "broken",
    "reason": "P95 912 ms",
    "since": TIME,
    "judged": TIME,
    "silenced_until": None,
    "value": 912.0,
    "limit": 500.0,
}


def insert(connection: Connection, table: str, **values: object) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


@pytest.fixture
def monitored(control: Control) -> Control:
    """A store in which every monitor has judged `town`."""
    with control._database.transact("a test") as connection:
        alert = json.dumps(FIRING)
        insert(connection, "alerts", service="town", rule="latency", revision=1, state=alert)
        primary = {"name": "auc", "value": 0.71, "baseline": 0.83}
        slices = [["sex=female", {**primary, "dropped": True}], ["sex=male", {"dropped": None}]]
        estimate = {"primary": {**primary, "value": 1}}
        verdict = json.dumps({"primary": primary, "slices": slices, "estimate": estimate})
        window = {"last_at": TIME, "last_request": "r", "clean": 0, "event": "", "payload": "{}"}
        window["verdict"] = verdict
        for kind, number, dropped in (("measured", 1, 0), ("measured", 2, 1), ("estimated", 9, 0)):
            judged = (AT + timedelta(hours=number)).isoformat(timespec="microseconds")
            told = {"judged": judged, "claimed": "", "emitted": ""}
            count = {"kind": kind, "number": number, "dropped": dropped}
            insert(
                connection,
                "performance_windows",
                **{"service": "town", "version": 3, **count, **window, **told},
            )
        cause = {"kind": "performance", "at": TIME, "reason": "accuracy .71", "since": TIME}
        for subject, over, closed in (("accuracy", 0, 0), ("auc", 0, 1), ("no-traffic", 1, 0)):
            end = {"is_over": over, "is_closed": closed, "waits": "labels", "decision": "80 of 500"}
            place = {"service": "town", "subject": subject}
            insert(connection, "retraining_causes", **place, **cause, **end)
    return control


def test_a_store_that_no_monitor_has_written_knows_nothing(control: Control) -> None:
    assert control.health.list_health() == {}


def test_drift_alone_is_read_where_no_other_monitor_ran(control: Control) -> None:
    state = DriftState(*("town", "data", "training", 3), AT, AT + timedelta(1), WindowOutcome.CLEAN)
    control.drift.record(state)
    health = control.health.list_health()["town"]
    assert health.drift == (state,)
    assert (health.alerts, health.performance, health.retraining) == (None, None, None)


def test_alerts_performance_and_causes_are_read_of_their_tables(monitored: Control) -> None:
    health = monitored.health.list_health("town")["town"]
    assert health.alerts is not None
    (alert,) = health.alerts
    assert (alert.is_firing, alert.since, alert.limit) == (True, AT, 500.0)
    assert health.performance is not None
    assert (health.performance.number, health.performance.dropped) == (2, True)
    figures = health.performance.metric, health.performance.value, health.performance.baseline
    assert (figures, health.performance.is_estimated) == (("auc", 0.71, 0.83), False)
    assert health.performance.slices == ("sex=female .710, .830 at the release",)
    assert health.retraining is not None
    (cause,) = health.retraining
    assert (cause.subject, cause.waits, cause.decision) == ("accuracy", "labels", "80 of 500")


def test_another_service_is_left_out(monitored: Control) -> None:
    assert monitored.health.list_health("other") == {}

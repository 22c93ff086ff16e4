"""The flow `monitor` on a real server: events once, a page, and a run that stays green."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.home import Home
from sluice.monitoring.signals import Signal
from support.releases.runs import artifacts_of
from support.releases.sources import events_of
from support.servers.images import use_home
from tasks.rollout.housekeeping import Housekeeper
from tasks.run.events import publish_event

pytestmark = pytest.mark.slow

SERVICE = "employment"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with use_home(tmp_path_factory.mktemp("monitored")) as home:
        yield home


@pytest.fixture(scope="module")
def control(home: Home) -> Control:
    control = prepare_control(home)
    control.routes.follow_champion(SERVICE, 1)
    return control


def record(control: Control, value: float) -> None:
    now = datetime.now(UTC)
    signal = Signal(SERVICE, "output-psi", now - HOUR, now, value, 5000, confirmed=value > 0.2)
    control.signals.record([signal])


def run_monitor() -> Any:
    from flows.monitor import monitor

    return monitor(SERVICE, return_state=True)


def test_an_alert_is_one_event_and_leaves_the_run_green(api: str, control: Control) -> None:
    record(control, 0.5)
    first, second = run_monitor(), run_monitor()
    assert first.is_completed(), first.message
    assert first.message == f"{SERVICE}: output-drift raised; fires: {SERVICE}: output-drift"
    assert second.message == f"fires: {SERVICE}: output-drift"
    (raised,) = events_of(api, SERVICE, "alert.raised")
    payload = raised["payload"]
    assert (payload["rule"], payload["severity"]) == ("output-drift", "warning")
    assert (payload["value"], payload["limit"], payload["unit"]) == (0.5, 0.2, "PSI")
    assert payload["next"].startswith("Find the feature that moved")
    assert payload["window"]["start"] < payload["window"]["end"]


def test_it_is_resolved_once(api: str, control: Control) -> None:
    record(control, 0.01)
    state = run_monitor()
    assert state.message == f"{SERVICE}: output-drift resolved"
    assert run_monitor().name == "Skipped"
    assert len(events_of(api, SERVICE, "alert.resolved")) == 1
    assert len(events_of(api, SERVICE, "alert.raised")) == 1
    page = artifacts_of(state)[f"{SERVICE}-monitoring"].data.replace("<br>", " ")
    assert "# Alerts of employment" in page
    assert "| no-traffic | not judged | critical | requests: no request was ever logged" in page
    assert "| output-drift | resolved |" in page


def test_a_change_that_is_told_again_is_one_event(api: str, control: Control) -> None:
    identity = uuid4()
    for _ in range(2):
        publish_event(SERVICE, "alert.cleared", {"rule": "latency"}, identity)
    assert [item["id"] for item in events_of(api, SERVICE, "alert.cleared")] == [str(identity)]


def test_a_service_without_champion_is_left_alone(control: Control) -> None:
    from flows.monitor import monitor

    assert monitor("arrivals", return_state=True).name == "Skipped"
    assert control.alerts.list_alerts("arrivals") == []


def test_the_keeper_tells_that_the_monitor_does_not_run(api: str, control: Control) -> None:
    from tasks.monitoring.monitor import watch_monitor

    late = datetime.now(UTC) + timedelta(minutes=16)
    assert [item.kind for item in watch_monitor(SERVICE, late)] == ["raised"]
    assert watch_monitor(SERVICE, late + timedelta(minutes=2)) == []
    (raised,) = events_of(api, SERVICE, "alert.raised")[1:]
    assert raised["payload"]["rule"] == "monitor-silent"


def test_the_local_stack_looks_without_a_run(control: Control) -> None:
    keeper = Housekeeper(logging.getLogger("a housekeeping of tests"))
    keeper.look("monitor/monitor", SERVICE)  # nothing is deployed: nothing happens
    assert control.alerts.find(SERVICE, "output-drift").phase == "quiet"

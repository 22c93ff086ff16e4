"""The status at a glance, from a real control store and addresses that answer or do not."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.server.record import StackRecord, write_stack
from sluice.adapters.status import find_addresses, read_status
from sluice.control.retraining import RetrainingCause
from sluice.home import Home
from sluice.rollout.state import Action, Phase
from support.rollouts.store import StoredRollout
from support.servers.ports import find_free_port
from support.servers.receiver import run_receiver


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def control(home: Home) -> Control:
    return prepare_control(home)


def test_service_without_a_version_serves_nothing(home: Home, control: Control) -> None:
    [found] = read_status(home, control, ["new"]).services
    assert (found.serves, found.since, found.previous, found.rollout) == (None, "", None, None)
    assert (found.waiting, found.notes, found.last) == ((), (), {})


def test_a_retraining_that_waits_is_a_note(home: Home, control: Control) -> None:
    waits = "311 of 500 labels are new since v3 was trained"
    cause = RetrainingCause(
        "shop", "performance", "performance estimated", datetime.now(UTC), "auc .80", decision=waits
    )
    control.retrainings.record(cause)
    [found] = read_status(home, control, ["shop"]).services
    assert found.notes == (f"retraining for performance.dropped: {waits}",)


def test_rollout_under_way_is_shown_with_its_stage_and_its_controller(
    home: Home, control: Control
) -> None:
    rollout = StoredRollout(control, "shop")
    rollout.tick_to(Phase.CANARY)
    [found] = read_status(home, control, ["shop"]).services
    assert found.serves == 1
    assert found.rollout is not None
    assert (found.rollout.version, found.rollout.phase) == (2, "canary")
    assert 0.0 < found.rollout.weight < 1.0
    assert found.rollout.has_controller
    assert found.last


def test_rollout_without_ticks_has_no_controller(home: Home, control: Control) -> None:
    rollout = StoredRollout(control, "shop", opened=datetime.now(UTC) - timedelta(hours=1))
    rollout.tick(3)
    rollout.command(Action.PAUSE, "Ada", "a launch")
    [found] = read_status(home, control, ["shop"]).services
    assert found.rollout is not None
    assert (found.rollout.phase, found.rollout.has_controller) == ("paused", False)
    assert found.rollout.seconds_since_tick > 3_000


def test_each_address_of_the_stack_is_asked(home: Home, control: Control) -> None:
    silent = f"http://127.0.0.1:{find_free_port()}"
    with run_receiver() as there:
        answering = f"http://127.0.0.1:{there.port}"
        record = StackRecord(os.getpid(), answering, silent, "worker", "log", 1)
        write_stack(home, record)
        stack = read_status(home, control, []).to_dict()["stack"]
    assert stack == {
        "prefect": {"address": answering, "answers": True},  # with an error, which is an answer
        "mlflow": {"address": silent, "answers": False},
    }


def test_without_a_stack_only_a_named_server_is_asked(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert find_addresses(home) == {"prefect": "http://127.0.0.1:9"}

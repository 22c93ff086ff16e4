"""What a person commands without Prefect: on a real control store, under real leases."""

import threading
import time
from collections.abc import Iterator

import pytest

from sluice.adapters.control.rollouts import CONTROLLER
from sluice.adapters.control.store import Control, prepare_control
from sluice.control.command import Author
from sluice.errors import CommandRefused
from sluice.home import Home
from sluice.rollout.state import ALLOWED, Action, Phase
from support.pace import slowed
from support.rollouts.store import StoredRollout
from tasks.rollout.actions import command_rollout, read_action

SERVICE = "town"
ADA = Author("Ada", "errors", "terminal ada@desk, process 1")


@pytest.fixture
def control(home: Home) -> Control:
    return prepare_control(home)


@pytest.fixture
def rollout(control: Control) -> Iterator[StoredRollout]:
    """A rollout in its first stage, whose controller is the test."""
    rollout = StoredRollout(control, SERVICE)
    rollout.tick()
    yield rollout
    rollout.end()


def ignore(line: str) -> None:
    """Report nothing."""


@pytest.mark.parametrize("action", [item for item in Action if Phase.SHADOW in ALLOWED[item]])
def test_without_a_controller_a_command_is_applied_at_once(
    control: Control, rollout: StoredRollout, action: Action
) -> None:
    rollout.end()
    began = time.monotonic()
    done = command_rollout(control, SERVICE, action.value, ADA, ignore)
    assert time.monotonic() - began < slowed(5)
    assert (done.answer, done.is_alone) == ("obey", True)
    assert done.message == f"{action} (Ada: errors)"
    [command] = control.commands.list_commands(SERVICE)
    assert (command.answer, command.origin) == ("obey", ADA.origin)
    left = control.rollouts.find(SERVICE, 1)
    route = control.routes.find(SERVICE)
    assert left is not None
    assert route is not None
    assert left.tick == rollout.record.tick + 1
    assert route.champion == (2 if action is Action.PROMOTE else 1)
    assert control.leases.find(SERVICE, CONTROLLER).is_free


def test_a_command_that_the_phase_does_not_allow_is_refused_without_a_controller(
    control: Control, rollout: StoredRollout
) -> None:
    rollout.end()
    with pytest.raises(CommandRefused, match="resume: the rollout is shadow; allowed while"):
        command_rollout(control, SERVICE, "resume", ADA, ignore)


def test_a_controller_at_work_answers_itself(control: Control, rollout: StoredRollout) -> None:
    ended = threading.Event()

    def control_rollout() -> None:
        while not ended.wait(0.05):
            if control.commands.find_next(SERVICE, 1):
                rollout.answer()

    thread = threading.Thread(target=control_rollout)
    thread.start()
    try:
        done = command_rollout(control, SERVICE, "roll-back", ADA, ignore)
    finally:
        ended.set()
        thread.join()
    assert (done.answer, done.is_alone) == ("obey", False)
    assert rollout.phase is Phase.ROLLING_BACK


def test_the_lease_of_a_killed_controller_is_taken_over_once_it_lapsed(control: Control) -> None:
    rollout = StoredRollout(control, SERVICE)
    rollout.tick()
    rollout.end()
    killed = control.leases.acquire(SERVICE, CONTROLLER, "killed", 0.5)
    lines: list[str] = []
    done = command_rollout(control, SERVICE, "abort", ADA, lines.append)
    assert (done.answer, done.is_alone) == ("obey", True)
    assert control.leases.find(SERVICE, CONTROLLER).epoch == killed.epoch + 1
    assert lines[0].startswith("waiting for the controller, ")


def test_a_command_is_read_in_the_spelling_of_earlier_versions_too() -> None:
    assert read_action("roll back") is read_action("roll-back") is Action.ROLL_BACK
    assert read_action("promote now") is Action.PROMOTE
    with pytest.raises(CommandRefused, match="found 'sleep'; allowed: pause, resume"):
        read_action("sleep")


def test_no_value_that_a_person_chooses_has_a_space() -> None:
    from tasks.run import forms

    named = [forms.ActionName, forms.PolicyName, forms.ServiceName, forms.ServiceOrAll]
    values = [
        value
        for item in named
        for value in item.__metadata__[0].json_schema_extra.get("enum", [])  # type: ignore[attr-defined]
    ]
    assert values
    assert [value for value in values if " " in value] == []

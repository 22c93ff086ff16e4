"""Commands of people as Prefect's forms run them: tasks around what `actions` does."""

from typing import Any

from prefect import get_run_logger

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.moves import settle_aliases
from sluice.adapters.registry.client import open_registry
from sluice.control.command import Author
from sluice.home import find_home
from tasks.rollout import actions
from tasks.rollout.actions import CommandResult
from tasks.rollout.telling import tell_moves
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.names import name_origin


@effect
def command_rollout(service: str, action: str, reason: str, by: str) -> CommandResult:
    """Give a command to the rollout under way, and wait until it is answered.

    Raises:
        CommandRefused: no rollout is under way, its phase does not allow the command, or name or
            reason are missing.
        Fault: the control store cannot be reached.
    """
    author = Author(by, reason, name_origin())
    done = actions.command_rollout(prepare_control(), service, action, author, _ignore)
    get_run_logger().warning("%s: %s: %s", service, done.action, done.message)
    return done


def confirm_no_rollout(service: str) -> None:
    """Refuse to move aliases during a rollout.

    Raises:
        RolloutRefused: one is under way.
        Fault: the control store cannot be reached.
    """
    actions.confirm_no_rollout(prepare_control(), service)


@effect
def roll_back(service: str, reason: str, by: str) -> CommandResult:
    """Roll back the rollout that is under way; without one, serve the previous version again.

    Raises:
        CommandRefused: name or reason are missing, or the rollout's phase does not allow it.
        RolloutRefused: there is no version to go back to.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        Fault: the control store, or the registry where it is needed, cannot be reached.
    """
    author = Author(by, reason, name_origin())
    done = actions.roll_back(prepare_control(), service, author, _ignore)
    get_run_logger().warning("%s: %s by %s: %s", service, done.message, by, reason)
    return done


@effect
def restore_version(
    service: str, version: int, reason: str, by: str, force: bool = False
) -> CommandResult:
    """Make an earlier version champion, and record by whom and why.

    With `force`, a version that did not pass its gates serves too, by an exception that is recorded
    first.

    Raises:
        RolloutRefused: a rollout is under way, or there is no such version.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        CommandRefused: name or reason are missing.
        Fault: the control store or the registry cannot be reached.
    """
    author = Author(by, reason, name_origin())
    done = actions.restore(prepare_control(), service, version, author, force)
    get_run_logger().warning("%s: %s by %s: %s", service, done.message, by, reason)
    return done


@effect
def follow_champion(service: str) -> None:
    """Make the registry's aliases follow the route, and emit the event of the move.

    Raises:
        RolloutRefused: the registry has no such version any more.
        Fault: the control store or the registry cannot be reached.
    """
    control = prepare_control()
    settle_aliases(control, open_registry(find_home()), service)
    emit_moves(control, service)


def emit_moves(control: Control, service: str) -> None:
    """Emit, as a run does, the event of each move that Prefect was not told of.

    Raises:
        Fault: the control store cannot be reached.
    """

    def emit(event: str, payload: dict[str, Any]) -> bool:
        publish_event(service, event, payload)
        return True

    tell_moves(control, service, emit)


def _ignore(line: str) -> None:
    """Report no progress: a run's log would have ten lines a second."""

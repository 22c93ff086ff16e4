"""What a person commands, on control store and registry alone; forms and terminal share it.

Nothing here needs Prefect. A rollout's controller answers commands; where no controller is at work,
the caller takes the controller's lease for a moment and applies the command itself.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sluice.adapters.control.commands import OBEYED, REFUSED, require_reason
from sluice.adapters.control.rollouts import CONTROLLER, Tick
from sluice.adapters.control.routes import say_experiment
from sluice.adapters.control.store import Control
from sluice.adapters.moves import restore_champion, roll_back_champion
from sluice.adapters.registry.client import Registry, open_registry
from sluice.control.command import Author, RecordedCommand
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import CommandRefused, LeaseLost, RolloutRefused
from sluice.home import find_home
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, write_step
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Action, Command
from sluice.rollout.state_machine import step

ANSWER_SECONDS = 60.0
"""How long to wait for the answer of a controller that is at work."""
POLL_SECONDS = 0.1
HOLD_SECONDS = 15.0
"""Time to live of the lease under which a command is applied without a controller."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class CommandResult:
    """A command's answer; `answer` is empty if no controller has handled it yet.

    `is_alone`: no controller was at work, and the caller applied the command itself.
    """

    service: str
    action: str
    answer: str
    message: str
    is_alone: bool = False


def read_action(text: str) -> Action:
    """Return the action that a text names, in the spelling of this or an earlier version.

    Raises:
        CommandRefused: it names none.
    """
    try:
        return Action(text)
    except ValueError as error:
        known = ", ".join(item.value for item in Action)
        raise CommandRefused(f"found '{text}'; allowed: {known}") from error


def confirm_no_rollout(control: Control, service: str) -> None:
    """Refuse to move aliases during a rollout or an experiment.

    Raises:
        RolloutRefused: one is under way.
        Fault: the control store cannot be reached.
    """
    rollout = control.rollouts.find_open(service)
    if rollout is not None:
        choices = (Action.PROMOTE, Action.ROLL_BACK, Action.ABORT)
        first, second, third = (item.value for item in choices)
        raise RolloutRefused(
            f"{service}: a rollout of v{rollout.candidate} is under way ({rollout.state.phase}); "
            f"next: `sluice rollout-control {service}` with {first}, {second} or {third}"
        )
    route = control.routes.find(service)
    if route is not None and route.experiment:
        raise RolloutRefused(say_experiment(route))


def roll_back(control: Control, service: str, by: Author, report: Report) -> CommandResult:
    """Roll back the rollout that is under way; without one, serve the previous version again.

    Raises:
        CommandRefused: name or reason are missing, or the rollout's phase does not allow it.
        RolloutRefused: there is no version to go back to.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        Fault: the control store, or the registry where it is needed, cannot be reached.
    """
    if control.rollouts.find_open(service) is not None:
        return command_rollout(control, service, Action.ROLL_BACK.value, by, report)
    moved = roll_back_champion(control, _open_registry(), service, by)
    return CommandResult(service, moved.action, OBEYED, moved.message)


def restore(
    control: Control, service: str, version: int, by: Author, force: bool = False
) -> CommandResult:
    """Make an earlier version champion; with `force` also one that did not pass its gates.

    Raises:
        CommandRefused: name or reason are missing.
        RolloutRefused: there is no such version, or a rollout is under way.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        Fault: the control store or the registry cannot be reached.
    """
    confirm_no_rollout(control, service)
    moved = restore_champion(control, _open_registry(), service, version, by, force)
    return CommandResult(service, moved.action, OBEYED, moved.message)


def command_rollout(
    control: Control, service: str, action: str, by: Author, report: Report
) -> CommandResult:
    """Give a command to the rollout under way, and wait until it is answered.

    Its controller answers within a tick. If none is at work, the command is applied here. `report`
    gets a line while the answer takes its time.

    Raises:
        CommandRefused: no rollout is under way, its phase does not allow the command, or name or
            reason are missing.
        Fault: the control store cannot be reached.
    """
    chosen = read_action(action)
    require_reason(action, by.by, by.reason)
    who = (by.by.strip(), by.reason.strip())
    commands = control.commands
    command = commands.give(service, chosen.value, *who, datetime.now(UTC), by.origin)
    began, alone, watch = time.monotonic(), False, LeaseWatch()
    while command.is_open and time.monotonic() - began < ANSWER_SECONDS:
        time.sleep(POLL_SECONDS)
        command = commands.find(command.sequence) or command
        if command.is_open:
            alone = _apply_alone(control, watch, command) or alone
            command = commands.find(command.sequence) or command
            report(f"waiting for the controller, {time.monotonic() - began:.0f} s")
    if command.answer == REFUSED:
        raise CommandRefused(command.message)
    message = command.message or "it waits for a controller; the keeper starts one within minutes"
    return CommandResult(service, chosen.value, command.answer, message, alone)


def make_tick(rollout: RolloutRecord, facts: Facts, given: RecordedCommand | None = None) -> Tick:
    """Derive the next step of a rollout from a tick's facts, or from a command."""
    command = Command(Action(given.action), given.by, given.reason) if given else None
    state, decision = step(rollout.state, facts, command, rollout.policy)
    record = write_step(rollout.tick, facts, command, Derived(state, decision), rollout.policy)
    moved = state.epoch != rollout.state.epoch
    after = replace(rollout, state=state, readings={} if moved else rollout.readings)
    return Tick(after, {**record, "salt": after.salt}, decision, given)


def _apply_alone(control: Control, watch: LeaseWatch, command: RecordedCommand) -> bool:
    """Apply a rollout's open commands if it has no controller; return whether that was done."""
    seen = control.leases.find(command.service, CONTROLLER)
    if not watch.has_lapsed(seen, time.monotonic()):
        return False
    holder = f"{command.action} by {command.by} ({uuid.uuid4().hex[:8]})"
    lease = control.leases.take(seen, holder, HOLD_SECONDS)
    if lease is None:
        return False
    try:
        return _apply_open(control, lease, command)
    except LeaseLost:  # a controller has come after all, and answers
        return False
    finally:
        control.leases.release(lease)


def _apply_open(control: Control, lease: Lease, command: RecordedCommand) -> bool:
    rollout = control.rollouts.find(command.service, command.number)
    while rollout is not None and not rollout.state.phase.is_final:
        given = control.commands.find_next(command.service, command.number)
        if given is None:
            return True
        tick = make_tick(rollout, Facts(), given)
        rollout = control.rollouts.write(lease, rollout, tick, datetime.now(UTC))
    return True


def _open_registry() -> Registry:
    return open_registry(find_home())

"""Commands of people: to the rollout under way, or to serve an earlier version."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.commands import OBEYED, REFUSED, require_reason
from sluice.adapters.registry.aliases import PREVIOUS
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import check_verdicts
from sluice.errors import CommandRefused, RolloutRefused
from sluice.home import find_home
from sluice.rollout.state import Action
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.leases import prepare_control

ANSWER_SECONDS = 60.0
"""How long to wait for the controller's answer; without a controller the keeper starts one."""
POLL_SECONDS = 0.25
RESTORE, ROLLBACK = "restore", "rollback"
EVENTS = {RESTORE: "rollout.restored", ROLLBACK: "rollout.rollback"}
"""The event after each action that serves an earlier version."""


@dataclass(frozen=True)
class CommandResult:
    """A command's answer; `answer` is empty if no controller has handled it yet."""

    service: str
    action: str
    answer: str
    message: str


@effect
def command_rollout(service: str, action: str, reason: str, by: str) -> CommandResult:
    """Give a command to the rollout under way, and wait for its controller's answer.

    Raises:
        CommandRefused: no rollout is under way, its phase does not allow the command, or name or
            reason are missing.
        Fault: the control store cannot be reached.
    """
    known = [item.value for item in Action]
    if action not in known:
        raise CommandRefused(f"found '{action}'; allowed: {', '.join(known)}")
    commands, deadline = prepare_control().commands, time.monotonic() + ANSWER_SECONDS
    command = commands.give(service, action, by.strip(), reason.strip(), datetime.now(UTC))
    while command.is_open and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        command = commands.find(command.sequence) or command
    if command.answer == REFUSED:
        raise CommandRefused(command.message)
    message = command.message or "it waits for a controller; the keeper starts one within minutes"
    get_run_logger().warning("%s: %s: %s", service, action, message)
    return CommandResult(service, action, command.answer, message)


def is_rolling(service: str) -> bool:
    """Whether a rollout of the service is under way.

    Raises:
        Fault: the control store cannot be reached.
    """
    return prepare_control().rollouts.find_open(service) is not None


def confirm_no_rollout(service: str) -> None:
    """Refuse to move aliases during a rollout.

    Raises:
        RolloutRefused: one is under way.
        Fault: the control store cannot be reached.
    """
    rollout = prepare_control().rollouts.find_open(service)
    if rollout is not None:
        raise RolloutRefused(
            f"{service}: a rollout of v{rollout.candidate} is under way ({rollout.state.phase}); "
            f"next: `sluice rollout-control {service}` with promote now, roll back or abort"
        )


@effect
def find_previous(service: str) -> int:
    """Return the version that served before, to which a rollback returns.

    Raises:
        RolloutRefused: no version is known to have served before.
        Fault: the registry cannot be reached.
    """
    found = open_registry(find_home()).find_alias(service, PREVIOUS)
    if found is None:
        raise RolloutRefused(
            f"{service} has no previous version; next: `sluice restore {service} VERSION`"
        )
    return found.version


@effect
def serve_version(service: str, version: int, action: str, reason: str, by: str) -> CommandResult:
    """Make an earlier version champion in registry and route, and record by whom and why.

    `action` is `restore`, after which the former champion is `previous`, or `rollback`, after which
    no version is. A repeated call completes an interrupted one.

    Raises:
        RolloutRefused: a rollout is under way, or there is no such version.
        PromotionRefused: the version did not pass every gate.
        CommandRefused: name or reason are missing.
        Fault: the control store or the registry cannot be reached.
    """
    confirm_no_rollout(service)
    require_reason(action, by, reason)
    registry, control = open_registry(find_home()), prepare_control()
    found = find_version(registry, service, version)
    if found is None:
        raise RolloutRefused(f"{service} has no v{version}")
    check_verdicts(found)
    before = registry.make_champion(service, version)
    if before and action == ROLLBACK:
        registry.drop_previous(service, before.version)
    control.routes.follow_champion(service, version)
    message, now = f"v{version} is champion", datetime.now(UTC)
    control.commands.record(service, action, by.strip(), reason.strip(), message, now)
    publish_event(service, EVENTS[action], {"version": version, "by": by, "reason": reason})
    get_run_logger().warning("%s v%d is champion by %s: %s", service, version, by, reason)
    return CommandResult(service, action, OBEYED, message)

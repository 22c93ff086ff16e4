"""Commands of people: to the rollout under way, or to serve an earlier version."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.commands import OBEYED, REFUSED, require_reason
from sluice.adapters.control.store import Control
from sluice.adapters.registry.aliases import PREVIOUS
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.errors import CommandRefused, PromotionRefused, RolloutRefused
from sluice.home import find_home
from sluice.rollout.state import Action
from tasks.run.champions import find_serving
from tasks.run.decorators import effect
from tasks.run.events import publish_event
from tasks.run.leases import prepare_control

ANSWER_SECONDS = 60.0
"""How long to wait for the controller's answer; without a controller the keeper starts one."""
POLL_SECONDS = 0.25
RESTORE, ROLLBACK = "restore", "rollback"
EVENTS = {RESTORE: "rollout.restored", ROLLBACK: "rollout.rollback"}
"""The event after each action that serves an earlier version."""
FORCED = "rollout.forced"
"""The event after a version came to serve by a person's exception."""


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
def serve_version(
    service: str, version: int, action: str, reason: str, by: str, force: bool = False
) -> CommandResult:
    """Make an earlier version champion in registry and route, and record by whom and why.

    `action` is `restore`, after which the former champion is `previous`, or `rollback`, after which
    no version is. With `force`, a version that did not pass its gates serves too: the exception is
    recorded first, with its name and reason. A repeated call completes an interrupted one.

    Raises:
        RolloutRefused: a rollout is under way, or there is no such version.
        PromotionRefused: the version did not pass every gate, and there is no exception for it.
        CommandRefused: name or reason are missing.
        Fault: the control store or the registry cannot be reached.
    """
    confirm_no_rollout(service)
    require_reason(action, by, reason)
    registry, control = open_registry(find_home()), prepare_control()
    found = find_version(registry, service, version)
    if found is None:
        raise RolloutRefused(f"{service} has no v{version}")
    objection = admit_by_hand(control, found, by, reason, force)
    before = registry.make_champion(service, version, find_serving(service))
    if before and action == ROLLBACK:
        registry.drop_previous(service, before.version)
    control.routes.follow_champion(service, version)
    although = f", by an exception: {objection}" if objection else ""
    message, now = f"v{version} is champion{although}", datetime.now(UTC)
    control.commands.record(service, action, by.strip(), reason.strip(), message, now)
    facts = {"version": version, "by": by, "reason": reason}
    publish_event(service, FORCED if objection else EVENTS[action], facts)
    get_run_logger().warning("%s %s, by %s: %s", service, message, by, reason)
    return CommandResult(service, action, OBEYED, message)


def admit_by_hand(
    control: Control, version: ModelVersionRef, by: str, reason: str, force: bool
) -> str:
    """Check that a version may serve; with `force`, record an exception where it may not.

    Return what speaks against the version, empty if nothing does.

    Raises:
        PromotionRefused: it may not serve, and no exception was asked for.
        Fault: the control store cannot be reached.
    """
    service, number = version.service, version.version
    admissions = control.admissions
    admission = admissions.judge(service, number, version.tags)
    if admission.objection and not force:
        raise PromotionRefused(admission.objection)
    if admission.objection:
        admissions.make_exception(service, number, by, reason, datetime.now(UTC))
    return admission.objection.partition("; next: ")[0]

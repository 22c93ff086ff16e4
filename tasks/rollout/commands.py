"""A person's word in a rollout, or beside one: put on record, carried out, answered."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import get_run_logger

from sluice.adapters.control.commands import OBEYED, REFUSED, require_words
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
"""How long a controller is waited for; without one the keeper starts another."""
POLL_SECONDS = 0.25
RESTORE, ROLLBACK = "restore", "rollback"


@dataclass(frozen=True)
class CommandResult:
    """What came of a command; `answer` is empty where no controller has taken it yet."""

    service: str
    action: str
    answer: str
    words: str


@effect
def command_rollout(service: str, action: str, reason: str, by: str) -> CommandResult:
    """Put a command to the rollout under way, and wait for its controller's answer.

    Raises:
        CommandRefused: no rollout is under way, it makes no sense where that one is, or name or
            reason are missing.
        Fault: the control store cannot be reached.
    """
    known = [item.value for item in Action]
    if action not in known:
        raise CommandRefused(f"found '{action}'; allowed: {', '.join(known)}")
    commands, deadline = prepare_control().commands, time.monotonic() + ANSWER_SECONDS
    given = commands.give(service, action, by.strip(), reason.strip(), datetime.now(UTC))
    while given.is_open and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        given = commands.find(given.sequence) or given
    if given.answer == REFUSED:
        raise CommandRefused(given.words)
    words = given.words or "it waits for a controller; the keeper starts one within minutes"
    get_run_logger().warning("%s: %s: %s", service, action, words)
    return CommandResult(service, action, given.answer, words)


def is_rolling(service: str) -> bool:
    """Whether a rollout of the service is under way.

    Raises:
        Fault: the control store cannot be reached.
    """
    return prepare_control().rollouts.find_open(service) is not None


def confirm_no_rollout(service: str) -> None:
    """Refuse to move aliases beside a rollout.

    Raises:
        RolloutRefused: one is under way.
        Fault: the control store cannot be reached.
    """
    course = prepare_control().rollouts.find_open(service)
    if course is not None:
        raise RolloutRefused(
            f"{service}: a rollout of v{course.candidate} is under way ({course.state.phase}); "
            f"next: `sluice rollout-control {service}` with promote now, roll back or abort"
        )


@effect
def find_previous(service: str) -> int:
    """Give the version that served before, which a rollback goes back to.

    Raises:
        RolloutRefused: nothing is known to have served before.
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
    """Make an earlier version champion in registry and route, and put on record who and why.

    `action` is `restore`, after which the champion before is `previous`, or `rollback`, after which
    none is. Asked again, it finishes what was half done.

    Raises:
        RolloutRefused: a rollout is under way, or there is no such version.
        PromotionRefused: not every gate had said `pass`.
        CommandRefused: name or reason are missing.
        Fault: the control store or the registry cannot be reached.
    """
    confirm_no_rollout(service)
    require_words(action, by, reason)
    registry, control = open_registry(find_home()), prepare_control()
    found = find_version(registry, service, version)
    if found is None:
        raise RolloutRefused(f"{service} has no v{version}")
    check_verdicts(found)
    before = registry.make_champion(service, version)
    if before and action == ROLLBACK:
        registry.drop_previous(service, before.version)
    control.routes.follow_champion(service, version)
    words = f"v{version} is champion"
    control.commands.record(service, action, by.strip(), reason.strip(), words, datetime.now(UTC))
    publish_event(service, f"rollout.{action}", {"version": version, "by": by, "reason": reason})
    get_run_logger().warning("%s v%d is champion by %s: %s", service, version, by, reason)
    return CommandResult(service, action, OBEYED, words)

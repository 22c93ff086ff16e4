"""Commands that act at once, without Prefect: on the control store, then on the registry.

The route moves first and is reported. Then the registry's aliases follow, and Prefect is told if
its server is there. What fails after the route has moved is said, and the keeper completes it.
"""

import os
from functools import partial
from typing import TYPE_CHECKING

from cli.arguments import check_known, check_name
from cli.output import report_progress, report_waiting, say
from sluice.errors import Fault, RolloutRefused
from sluice.home import find_home

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluice.adapters.control.store import Control
    from sluice.control.command import Author
    from tasks.rollout.actions import CommandResult

LATER = "the keeper completes it, and so does the next command"


def roll_back_here(service: str, by: str, reason: str) -> None:
    """Roll a service back, without Prefect.

    Raises:
        ServiceUnknown: no configuration carries the name.
        Refused: name, reason or a version to go back to are missing.
        Fault: the control store cannot be reached.
    """
    author = check_author(service, "rollback", by, reason, check_known)
    from sluice.adapters.control.store import prepare_control
    from tasks.rollout.actions import roll_back

    control = prepare_control()
    _follow(control, roll_back(control, service, author, report_progress))


def restore_here(service: str, version: int, by: str, reason: str, force: bool = False) -> None:
    """Make an earlier version of a service serve, without Prefect.

    With `force` also one that did not pass its gates; the exception is recorded.

    Raises:
        ServiceUnknown: no configuration carries the name.
        Refused: name or reason are missing, or the version may not serve.
        Fault: the control store or the registry cannot be reached.
    """
    author = check_author(service, "restore", by, reason, check_known)
    from sluice.adapters.control.store import prepare_control
    from tasks.rollout.actions import restore

    control = prepare_control()
    with report_waiting(f"reading v{version} in the registry"):
        done = restore(control, service, version, author, force)
    _follow(control, done)


def command_here(service: str, action: str, by: str, reason: str) -> None:
    """Give a command to a service's rollout, without Prefect.

    Raises:
        ServiceUnknown: no configuration carries the name.
        CommandRefused: no rollout is under way, or its phase does not allow the command.
        Fault: the control store cannot be reached.
    """
    author = check_author(service, action, by, reason, check_known)
    from sluice.adapters.control.store import prepare_control
    from tasks.rollout.actions import command_rollout

    control = prepare_control()
    _follow(control, command_rollout(control, service, action, author, report_progress))


def check_author(
    service: str, action: str, by: str, reason: str, check: "Callable[[str], None]" = check_name
) -> "Author":
    """Return who acts, after a check of every argument; the service's file need not be valid.

    `check` refuses unknown names: of services, or of prompts too.

    Raises:
        ServiceUnknown: no configuration carries the name.
        CommandRefused: name or reason are missing.
    """
    from sluice.adapters.control.commands import require_reason
    from sluice.adapters.moves import name_terminal
    from sluice.control.command import Author

    check(service)
    require_reason(action, by, reason)
    return Author(by, reason, name_terminal())


def _follow(control: "Control", done: "CommandResult") -> None:
    """Report what was done, let the registry's aliases follow, and tell Prefect."""
    service = done.service
    say(f"{service}: {done.message}")
    route = control.routes.find(service)
    if route:
        beside = f", v{route.candidate} at {route.weight:.0%}" if route.candidate else ""
        say(f"route     v{route.champion} serves{beside} (epoch {route.epoch})")
    if done.is_alone:
        say(
            "rollout   no controller is at work; the keeper starts one, or "
            f"`sluice rollout {service}`"
        )
    _follow_aliases(control, done)
    tell_prefect(control, service)


def _follow_aliases(control: "Control", done: "CommandResult") -> None:
    from sluice.adapters.moves import settle_aliases
    from sluice.adapters.registry.client import open_registry
    from tasks.rollout.aliases import follow_record

    try:
        with report_waiting("moving the registry's aliases"):
            moved = settle_aliases(control, open_registry(find_home()), done.service)
            if done.is_alone and (rollout := control.rollouts.find_open(done.service)):
                follow_record(control, rollout)
    except (Fault, RolloutRefused) as error:
        say(f"registry  its aliases do not follow yet: {error}; {LATER}")
        return
    if moved:
        say(f"registry  the alias champion is at v{moved.version}")


def tell_prefect(control: "Control", service: str) -> None:
    """Send Prefect the event and the timeline, if its server is there."""
    from sluice.adapters.addresses import FLOW_RUNS
    from sluice.adapters.served_history import read_periods
    from sluice.adapters.server.home_server import server_environment
    from sluice.adapters.server.notes import is_there, send_event, send_page
    from sluice.production.page import describe_page as describe_served
    from sluice.production.page import write_served
    from sluice.report.timeline import describe_page, write_timeline
    from tasks.rollout.telling import tell_moves

    os.environ.update(server_environment(find_home()))
    api = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not is_there(api):
        say("Prefect   its server is not there; the keeper tells it later")
        return
    runs = f"{api.removesuffix('/api')}/{FLOW_RUNS}"
    page = write_timeline(service, control.timeline.list_entries(service), runs)
    served = write_served(service, read_periods(control, service))
    told = tell_moves(control, service, partial(send_event, api, service))
    shown = send_page(api, page, **describe_page(service))
    shown = send_page(api, served, **describe_served(service)) and shown
    say(f"Prefect   {'told' if told and shown else 'did not take it; the keeper tells it later'}")

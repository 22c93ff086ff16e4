"""Commands about what is there: show, history, doctor."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Service
from cli.output import say, show_rows, show_verdicts
from sluice.errors import ServiceUnknown
from sluice.home import find_home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.adapters.control.store import Control
    from sluice.adapters.registry.versions import ModelVersionRef
    from sluice.control.route import Route

PANEL = "Show"
SHOWN = 8
"""How many decisions are printed; the log keeps all."""
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def show(
    service: Annotated[str, typer.Argument(help="Name of a service; all if left out.")] = "",
) -> None:
    """Show champion, candidate and previous version, and the verdicts behind them."""
    show_services(service)


@commands.command(rich_help_panel=PANEL)
def history(service: Service) -> None:
    """Show a service's releases, newest first: each gate's verdict and the result."""
    show_history(service)


@commands.command(rich_help_panel=PANEL)
def doctor() -> None:
    """Examine Python, ports, disk and versions, and say what to do about each."""
    sys.exit(show_findings())


def show_services(service: str) -> None:
    """Print who serves by the control store, the other aliases, and the verdicts behind them.

    Raises:
        ServiceUnknown: no configuration carries the name.
        Fault: the control store or the registry cannot be reached.
    """
    from sluice.config.loading import list_services

    known = list_services()
    if service and service not in known:
        raise ServiceUnknown(f"no service '{service}'; known: {', '.join(known)}")
    from sluice.adapters.control.store import open_control
    from sluice.adapters.registry.answers import find_version
    from sluice.adapters.registry.client import open_registry
    from tasks.release.recording import read_verdicts

    registry = open_registry(find_home())
    registry.prepare()
    control = open_control(find_home())
    control.prepare()
    for name in [service] if service else known:
        route = control.routes.find(name)
        serves = find_version(registry, name, route.champion) if route else None
        found = {"champion": serves}
        found |= {alias: registry.find_alias(name, alias) for alias in ("candidate", "previous")}
        decisions = list_decisions(name)
        if route is None and not any(found.values()) and not decisions:
            say(f"{name}: nothing registered yet; `sluice release {name}` starts")
            continue
        versions = {alias: version for alias, version in found.items() if version}
        if versions:
            show_rows(name, [_describe(alias, version) for alias, version in versions.items()])
        if route is not None:
            show_serving(control, route, serves is None)
        if decisions:
            show_rows(f"Decisions on {name}", decisions[:SHOWN])
        for alias in ("champion", "candidate"):
            if service and alias in versions:
                verdicts = read_verdicts(versions[alias].run_id)
                show_verdicts(f"Verdicts of the {alias}", verdicts)


def show_serving(control: "Control", route: "Route", is_missing: bool) -> None:
    """Print since when the champion serves, and what is in conflict about it.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.control.approval import write_moment
    from tasks.run.champions import say_missing

    served = control.routes.list_champions(route.service)
    since = served[-1].since if served else None
    moment = f" since {write_moment(since)}" if since else ""
    say(f"{route.service} v{route.champion} serves{moment}, epoch {route.epoch}")
    if is_missing:
        say(f"conflict: {say_missing(route.service, route.champion)}")
    elif conflict := control.watermarks.find_conflict(route.service):
        say(f"conflict: {conflict}")


def list_decisions(service: str) -> list[dict[str, str]]:
    """Return the requests for approval, newest first: answer, who decided, when and the reason.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.adapters.control.store import open_control
    from sluice.control.approval import ApprovalAnswer, write_moment

    control = open_control(find_home())
    control.prepare()
    rows = [
        {
            "version": f"v{item.version}",
            "decision": "pending",
            "by": "",
            "when": f"until {write_moment(item.deadline)}",
            "reason": f"`sluice approve {service}` or `sluice refuse {service}`",
        }
        for item in control.approvals.list_requests(service)
        if item.answer is ApprovalAnswer.PENDING
    ]
    for line in control.approvals.list_decisions(service):
        row = {"version": f"v{line.version}", "decision": line.answer.value, "by": line.by}
        rows.append({**row, "when": write_moment(line.at), "reason": line.reason})
    return sorted(rows, key=lambda row: -int(row["version"].removeprefix("v")))


def show_history(service: str) -> None:
    """Print a service's releases, newest first.

    Raises:
        ServiceUnknown: no configuration carries the name.
        Fault: the control store or the registry cannot be reached.
    """
    from sluice.config.loading import list_services

    known = list_services()
    if service not in known:
        raise ServiceUnknown(f"no service '{service}'; known: {', '.join(known)}")
    from sluice.adapters.control.store import open_control
    from sluice.adapters.registry.client import open_registry
    from sluice.adapters.registry.history import list_releases
    from sluice.report.history import HEADS, list_rows

    control = open_control(find_home())
    control.prepare()
    route = control.routes.find(service)
    serves = route.champion if route else None
    rows = list_rows(list_releases(open_registry(find_home()), service, serves))
    if not rows:
        say(f"{service}: no release yet; `sluice release {service}` starts")
        return
    chosen = tuple(head for head in HEADS if head in rows[0])
    show_rows(f"Releases of {service}, newest first", rows, chosen)


def _describe(alias: str, version: "ModelVersionRef") -> dict[str, str]:
    tags = version.tags
    dirty = " and uncommitted changes" if tags.get("sluice.code.dirty") == "true" else ""
    return {
        "alias": alias,
        "version": f"v{version.version}",
        "data": _describe_data(tags),
        "code": tags.get("sluice.code.commit", "unknown")[:8] + dirty,
        "release": tags.get("sluice.release", "registered by hand"),
    }


def _describe_data(tags: "Mapping[str, str]") -> str:
    if "sluice.data.version" not in tags:
        return "unknown"
    return f"v{tags['sluice.data.version']}, {int(tags['sluice.data.rows']):,} rows"


def show_findings() -> int:
    """Print what the doctor found, with advice, and return the exit code."""
    from sluice.adapters.machine import examine

    findings = examine(find_home())
    rows = [
        {
            "outcome": "ok" if item.ok else "no",
            "what": item.name,
            "found": item.found,
            "wanted": item.wanted,
            "what to do": "" if item.ok else item.advice,
        }
        for item in findings
    ]
    show_rows("This machine", rows)
    return 0 if all(item.ok for item in findings) else 1

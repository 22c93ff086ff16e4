"""Commands about what is there: status, show, history, doctor."""

import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from cli.arguments import check_name
from cli.options import AsJson, Service
from cli.output import report_waiting, say, show_rows, show_verdicts
from cli.records.served import show_served
from sluice.errors import Fault
from sluice.home import find_home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.adapters.control.store import Control
    from sluice.adapters.registry.versions import ModelVersionRef
    from sluice.adapters.status import ServiceStatus
    from sluice.control.route import Route

PANEL = "Show"
SHOWN = 8
"""How many decisions are printed; the log keeps all."""
ENTRIES = 30
"""How many entries of a timeline are printed."""
HEADS_SHOWN = ("when", "version", "data version", "cause", "code", "gates", "reason")
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def show(
    service: Annotated[str, typer.Argument(help="Name of a service; all if left out.")] = "",
) -> None:
    """Show champion, candidate and previous version, and the verdicts behind them."""
    show_services(service)


@commands.command(rich_help_panel=PANEL)
def history(
    service: Service,
    served: Annotated[
        bool, typer.Option("--served", help="Who served when and why; of prompts too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a service, when, why and from where; and its releases."""
    if served:
        show_served(service, as_json)
    else:
        show_history(service, as_json)


@commands.command(rich_help_panel=PANEL)
def status(as_json: AsJson = False) -> None:
    """Show everything at a glance: what serves, what is on trial, what waits, what runs."""
    show_status(as_json)


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

    if service:
        check_name(service)
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.registry.answers import find_version
    from sluice.adapters.registry.client import open_registry
    from sluice.adapters.registry.history import read_verdicts

    registry = open_registry(find_home())
    with report_waiting("reading the registry"):
        registry.prepare()
    control = prepare_control()
    for name in [service] if service else list_services():
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
        if route is not None:
            say_reproduced(control, name, route.champion)
        if decisions:
            show_rows(f"Decisions on {name}", decisions[:SHOWN])
        for alias in ("champion", "candidate"):
            if service and alias in versions:
                verdicts = read_verdicts(registry, versions[alias].run_id)
                show_verdicts(f"Verdicts of the {alias}", verdicts)


def show_serving(control: "Control", route: "Route", is_missing: bool) -> None:
    """Print since when the champion serves, and what is in conflict about it.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.control.admission import say_missing
    from sluice.control.approval import write_moment

    since = control.timeline.find_since(route)
    moment = f" since {write_moment(since)}" if since else ""
    say(f"{route.service} v{route.champion} serves{moment}, epoch {route.epoch}")
    if is_missing:
        say(f"conflict: {say_missing(route.service, route.champion)}")
    elif conflict := control.watermarks.find_conflict(route.service):
        say(f"conflict: {conflict}")


def say_reproduced(control: "Control", service: str, version: int) -> None:
    """Print the last reproduction of a version, if there was one.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.control.approval import write_moment

    entry = control.timeline.find_reproduced(service, version)
    if entry is not None:
        say(f"reproduced {write_moment(entry.at)}: {entry.message}")


def list_decisions(service: str) -> list[dict[str, str]]:
    """Return the requests for approval, newest first: answer, who decided, when and the reason.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.adapters.control.store import prepare_control
    from sluice.control.approval import ApprovalAnswer, write_moment

    control = prepare_control()
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


def show_history(service: str, as_json: bool) -> None:
    """Print a service's timeline, then its releases with each gate's verdict, newest first.

    The timeline is read from the control store; while the registry is away it has all but the
    releases that an earlier version of Sluice ran.

    Raises:
        ServiceUnknown: no configuration carries the name.
        Fault: the control store or the registry cannot be reached.
    """
    check_name(service)
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.registry.client import open_registry
    from sluice.adapters.registry.history import list_releases
    from sluice.report.history import list_rows
    from sluice.report.timeline import add_releases, list_entries

    control = prepare_control()
    route = control.routes.find(service)
    serves = route.champion if route else None
    entries, problem, releases = control.timeline.list_entries(service), None, []
    try:
        with nullcontext() if as_json else report_waiting("reading the registry"):
            releases = list_releases(open_registry(find_home()), service, serves)
    except Fault as error:
        problem = error
    entries = add_releases(service, entries, releases)
    if as_json:
        say(json.dumps([item.to_dict() for item in entries], indent=2))
        if problem:
            print(f"without the registry's releases: {problem}", file=sys.stderr)  # noqa: T201
        return
    if not entries and not problem:
        say(f"{service}: no release yet; `sluice release {service}` starts")
    else:
        if entries:
            show_rows(f"Timeline of {service}, newest first", list_entries(entries[:ENTRIES]))
        if len(entries) > ENTRIES:
            say(f"  and {len(entries) - ENTRIES} older; `--json` has all of them")
        if releases:
            rows = [{**row, "gates": _name_gates(row)} for row in list_rows(releases)]
            show_rows(f"Releases of {service}, newest first", rows, HEADS_SHOWN)
    if problem:
        raise problem


def _name_gates(row: "Mapping[str, str]") -> str:
    """Return the gates of a release that did not pass, or how many passed."""
    from sluice.control.admission import GATES

    judged = {gate: row[gate] for gate in GATES if row[gate]}
    others = [f"{gate} {outcome}" for gate, outcome in judged.items() if outcome != "pass"]
    return ", ".join(others) or (f"{len(judged)} passed" if judged else "")


def show_status(as_json: bool) -> None:
    """Print every service and the local stack.

    Raises:
        Fault: the control store cannot be reached.
    """
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.status import read_status
    from sluice.config.loading import list_services

    control = prepare_control()
    found = read_status(find_home(), control, list_services())
    if as_json:
        say(json.dumps(found.to_dict(), indent=2))
        return
    show_rows("Services", [_describe_service(item) for item in found.services])
    for item in found.services:
        for note in item.notes:
            say(f"{item.service}: {note}")
    say(f"state folder  {found.home}")
    for name, part in found.stack.items():
        answer = "" if part["answers"] else "  does not answer"
        say(f"{name:<12}  {part['address']}{answer}")
    if not found.stack:
        say("no server and no gateway run here; `sluice up` starts them")


def _describe_service(item: "ServiceStatus") -> dict[str, str]:
    rollout, last = item.rollout, item.last
    on_trial = f"v{rollout.version} {rollout.place}, {rollout.weight:.0%}" if rollout else ""
    if rollout and not rollout.has_controller:
        on_trial += f"; no tick for {rollout.seconds_since_tick:.0f} s"
    by = f" by {last['by']}" if last.get("by") else ""
    return {
        "service": item.service,
        "serves": f"v{item.serves}" if item.serves else "nothing yet",
        "since": _write_since(item.since),
        "previous": f"v{item.previous}" if item.previous else "",
        "on trial": on_trial,
        "waits for a person": ", ".join(f"v{version}" for version in item.waiting),
        "last": f"{_write_since(last['at'])} {last['action']}{by}" if last else "",
    }


def _write_since(moment: str) -> str:
    return moment[:16].replace("T", " ") if moment else ""


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

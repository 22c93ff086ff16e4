"""Commands about alerts: monitoring status, silence, unsilence, export."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, By, Reason, Service
from cli.output import say, show_rows
from sluice.errors import CommandRefused
from sluice.home import environment_name, find_home

if TYPE_CHECKING:
    from sluice.config.service import ServiceConfig
    from sluice.monitoring.rules import ActiveRule

PANEL = "Monitoring"
COLUMNS = ("alert", "state", "severity", "found", "since")
RULES_FILE = "sluice-alerts.yaml"
commands = typer.Typer()
monitoring = typer.Typer(
    help="Alerts on live traffic: their state, silences, and export.", no_args_is_help=True
)
commands.add_typer(monitoring, name="monitoring", rich_help_panel=PANEL)

Rule = Annotated[str, typer.Argument(help="Name of a rule, as `monitoring status` lists them.")]
ServiceOption = Annotated[str, typer.Argument(help="Name of a service or prompt; left out: all.")]


@monitoring.command()
def status(service: ServiceOption = "", as_json: AsJson = False) -> None:
    """Show each rule's state, what was found, and what to do about alerts that fire."""
    import json

    found = {name: describe_service(name) for name in choose_services(service)}
    if as_json:
        say(json.dumps(found, indent=2))
        return
    for name, rows in found.items():
        show_status(name, rows)


@monitoring.command()
def silence(
    rule: Rule,
    service: Service,
    until: Annotated[
        str, typer.Option(help="A time such as 2026-12-01T06:00, UTC; or a duration such as 4 h.")
    ],
    by: By,
    reason: Reason,
) -> None:
    """Raise no alert of a rule until a time; it is still judged."""
    from sluice.adapters.control.store import prepare_control
    from sluice.monitoring.alerts import Silence

    check_rule(rule, service)
    now = datetime.now(UTC)
    given = Silence(service, rule, by, reason, now, read_until(until, now))
    made = prepare_control(find_home()).alerts.silence(given)
    say(f"{service}: {rule} is silenced until {made.until:%Y-%m-%d %H:%M} UTC by {by}: {reason}")


@monitoring.command()
def unsilence(rule: Rule, service: Service, by: By, reason: Reason) -> None:
    """End the silence of a rule; an alert that fires is raised at the monitor's next run."""
    from sluice.adapters.control.store import prepare_control

    check_rule(rule, service)
    alerts = prepare_control(find_home()).alerts
    alerts.unsilence(service, rule, by, reason, datetime.now(UTC))
    say(f"{service}: {rule} is no longer silenced, by {by}: {reason}")


@monitoring.command()
def export(
    to: Annotated[Path, typer.Option(help="Folder for the files; it is created.")],
    service: ServiceOption = "",
) -> None:
    """Write the rules as a Prometheus alert-rule file, and a Grafana dashboard a service."""
    from sluice.monitoring.grafana import write_dashboard
    from sluice.monitoring.prometheus import write_alert_rules

    rules = {name: load_rules_of(name) for name in choose_services(service)}
    files = {to / RULES_FILE: write_alert_rules(rules)}
    for name, of_service in rules.items():
        files[to / f"sluice-{name}.json"] = write_dashboard(name, of_service)
    write_files(to, files)
    for path in files:
        say(str(path))
    for name, of_service in rules.items():
        for active in of_service.values():
            if active.limit is None:
                say(f"{name}: {active.name} is left out: {active.missing}")


def write_files(folder: Path, files: dict[Path, str]) -> None:
    """Write files into a folder, each whole or not at all.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written.
    """
    from sluice.adapters.storage import PUBLIC, explain_os_error, write_whole

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(files, PUBLIC)
    except OSError as error:
        raise explain_os_error(error, str(folder)) from error


def choose_services(service: str) -> list[str]:
    """Return one service or prompt after a check of its name, or all with the prompts that serve.

    Raises:
        ServiceUnknown: no configuration and no prompt carries the name.
        ControlUnavailable: the control store does not answer.
    """
    from sluice.adapters.control.store import prepare_control
    from sluice.config.loading import list_services

    if service:
        load_rules_of(service)
        return [service]
    routes = prepare_control(find_home()).routes.list_routes("prompt")
    return [*list_services(), *(route.service for route in routes)]


def is_prompt(name: str) -> bool:
    """Whether a name is that of a prompt, which has no file in configs/."""
    from sluice.config.loading import list_services
    from sluice.prompts.listing import list_prompts

    return name not in list_services() and name in list_prompts()


def load_config(service: str) -> "ServiceConfig":
    """Return a service's configuration in this environment.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: it is not valid.
    """
    from sluice.config.loading import load_service

    return load_service(service, environment_name())


def load_rules_of(service: str) -> "dict[str, ActiveRule]":
    """Return the rules that are judged for a service or a prompt.

    Raises:
        ServiceUnknown: no configuration and no prompt carries the name.
        ConfigInvalid: the rules or the service's configuration are not valid.
    """
    from sluice.config.loading import find_rules

    if is_prompt(service):
        from sluice.config.llm.monitoring import find_prompt_rules, load_watched

        return find_prompt_rules(load_watched(service))
    return find_rules(load_config(service))


def check_rule(rule: str, service: str) -> None:
    """Check that a service has a rule.

    Raises:
        CommandRefused: it has no such rule.
        ServiceUnknown: no configuration carries the name.
    """
    rules = load_rules_of(service)
    if rule not in rules:
        raise CommandRefused(
            f"rule: found '{rule}', which {service} does not have; allowed: {', '.join(rules)}"
        )


def read_until(text: str, now: datetime) -> datetime:
    """Read the end of a silence: a time in UTC, unless it has a zone, or a duration from now.

    Raises:
        CommandRefused: it is neither, or is more than 31 days away.
    """
    from sluice.config.monitoring.rules import MOST_SECONDS, read_time_span

    try:
        return now + timedelta(seconds=read_time_span(text))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise CommandRefused(
            f"--until: found '{text}'; allowed: a time such as 2026-12-01T06:00 (UTC), or a "
            "duration such as 30 min, 4 h or 2 d, at most 31 d"
        ) from error
    try:
        until = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:  # before year 1 or after year 9999 in UTC
        raise CommandRefused(f"--until: found '{text}'; allowed: at most 31 d from now") from error
    if until - now > timedelta(seconds=MOST_SECONDS):
        raise CommandRefused(
            f"--until: found '{text}'; allowed: at most 31 d from now; next: if nobody wants its "
            "alert, switch the rule off in the service's file (`enabled: false`)"
        )
    return until


def describe_service(service: str) -> list[dict[str, str]]:
    """Return a row for each rule of a service.

    Raises:
        ConfigInvalid: the rules or the service's configuration are not valid.
        ControlUnavailable: the control store does not answer.
    """
    from sluice.adapters.control.store import prepare_control
    from sluice.monitoring.page import describe_alerts

    alerts = prepare_control(find_home()).alerts
    rules = load_rules_of(service)
    silences = alerts.list_silences(service)
    return describe_alerts(rules, alerts.list_alerts(service), silences, datetime.now(UTC))


def show_status(service: str, rows: list[dict[str, str]]) -> None:
    """Print a service's rules, and the runbook of those whose alert fires."""
    shown = [{**row, "alert": row["rule"]} for row in rows]
    show_rows(f"Alerts of {service} (times in UTC)", shown, COLUMNS)
    rules = load_rules_of(service)
    for row in rows:
        if row["silenced"]:
            say(f"{row['rule']} is silenced {row['silenced']}")
        if row["state"] == "firing":
            book = rules[row["rule"]].rule.runbook
            say(f"{row['rule']}: {book.means}")
            say(f"  look at: {book.look}")
            say(f"  do: {book.do}")
    judged = max((row["judged"] for row in rows), default="")
    say(f"judged last: {judged or 'never; next: `sluice up`, or a run of `monitor`'}")

"""Commands about rollouts: rollout, rollout-control, rollback, restore."""

from typing import Annotated, Any

import typer

from cli.options import By, Reason, Service
from cli.output import say
from cli.runs import run_command
from sluice.home import environment_name, find_home

PANEL = "Rollout"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def rollout(
    service: Service,
    version: Annotated[int, typer.Option(min=-1, help="Version; -1: the candidate.")] = -1,
    policy: Annotated[str, typer.Option(help="Name or path; else the service's own.")] = "",
) -> None:
    """Move live traffic to the candidate in stages, on evidence; this process controls it."""

    def call() -> Any:
        from flows.rollout import rollout as flow

        return flow(service, version, policy or "as configured", return_state=True)

    run_command(service, call)


@commands.command(rich_help_panel=PANEL)
def rollout_control(
    service: Service,
    action: Annotated[
        str,
        typer.Argument(help="pause, resume, abort, skip, 'promote now', 'roll back' or approve."),
    ],
    by: By,
    reason: Reason,
) -> None:
    """Send a command to the rollout that is under way."""

    def call() -> Any:
        from flows.rollout_control import rollout_control as flow

        return flow(service, action=action, reason=reason, by=by, return_state=True)

    run_command(service, call)


@commands.command(rich_help_panel=PANEL)
def accept_store(service: Service, by: By, reason: Reason) -> None:
    """Take the word of a control store that was restored from an older copy."""
    from datetime import UTC, datetime

    from sluice.adapters.gateway import find_replicas
    from sluice.adapters.recovery import accept_store as accept
    from sluice.config.loading import load_gateway, load_service

    environment = environment_name()
    load_service(service, environment)
    replicas = find_replicas(find_home(), load_gateway(environment))
    moved = accept(find_home(), replicas, service, by, reason, datetime.now(UTC))
    say(f"{service}: v{moved.champion} serves, at epoch {moved.epoch}, by {by}: {reason}")


@commands.command(rich_help_panel=PANEL)
def rollback(service: Service, by: By, reason: Reason) -> None:
    """Take the candidate off traffic, or make the previous version champion again."""

    def call() -> Any:
        from flows.rollback import rollback as flow

        return flow(service, reason=reason, by=by, return_state=True)

    run_command(service, call)


@commands.command(rich_help_panel=PANEL)
def restore(
    service: Service,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to serve.")],
    by: By,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it did not pass its gates; recorded.")
    ] = False,
) -> None:
    """Make any earlier version champion; it must have passed its gates."""

    def call() -> Any:
        from flows.restore import restore as flow

        given: dict[str, Any] = {"version": version, "reason": reason, "by": by, "force": force}
        return flow(service, **given, return_state=True)

    run_command(service, call)

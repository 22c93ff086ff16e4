"""Commands about rollouts: rollout, rollout-control, rollback, restore."""

from typing import Annotated, Any

import typer

from cli.options import By, Reason, Service
from cli.runs import run_command

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
) -> None:
    """Make any earlier version champion."""

    def call() -> Any:
        from flows.restore import restore as flow

        return flow(service, version=version, reason=reason, by=by, return_state=True)

    run_command(service, call)

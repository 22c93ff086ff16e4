"""Commands about rollouts: rollout, rollout-control, rollback, restore."""

from typing import Annotated, Any

import typer

from cli.arguments import check_policy
from cli.direct import command_here, restore_here, roll_back_here
from cli.options import ActionName, By, Reason, Service
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
    check_policy(service, policy)

    def call() -> Any:
        from flows.rollout import rollout as flow
        from tasks.rollout.opening import AS_CONFIGURED

        return flow(service, version, policy or AS_CONFIGURED, return_state=True)

    run_command(service, call)


@commands.command(rich_help_panel=PANEL)
def rollout_control(service: Service, action: ActionName, by: By, reason: Reason) -> None:
    """Send a command to the rollout that is under way; it needs no Prefect."""
    command_here(service, action, by, reason)


@commands.command(rich_help_panel=PANEL)
def rollback(service: Service, by: By, reason: Reason) -> None:
    """Take the candidate off traffic, or serve the previous version again; it needs no Prefect."""
    roll_back_here(service, by, reason)


@commands.command(rich_help_panel=PANEL)
def restore(
    service: Service,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to serve.")],
    by: By,
    reason: Reason,
) -> None:
    """Make any earlier version champion; it needs no Prefect."""
    restore_here(service, version, by, reason)

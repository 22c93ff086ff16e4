"""Commands about rollouts: rollout, rollout-control, rollback, restore."""

from typing import Annotated, Any

import typer

from cli.arguments import check_policy
from cli.direct import check_author, command_here, restore_here, roll_back_here
from cli.options import ActionName, By, Reason, Rolled, check_version
from cli.output import report_waiting, say
from cli.runs import run_command
from sluice.control.timeline import ACCEPT_STORE
from sluice.home import environment_name, find_home

PANEL = "Rollout"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def rollout(
    service: Rolled,
    version: Annotated[
        int, typer.Option(help="Version; -1: the candidate.", callback=check_version)
    ] = -1,
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
def rollout_control(service: Rolled, action: ActionName, by: By, reason: Reason) -> None:
    """Send a command to the rollout that is under way; it needs no Prefect."""
    command_here(service, action, by, reason)


@commands.command(rich_help_panel=PANEL)
def accept_store(service: Rolled, by: By, reason: Reason) -> None:
    """Take the word of a control store that was restored from an older copy."""
    from datetime import UTC, datetime

    author = check_author(service, ACCEPT_STORE, by, reason)
    from sluice.adapters.gateway import find_replicas
    from sluice.adapters.recovery import accept_store as accept
    from sluice.config.loading import load_gateway

    replicas = find_replicas(find_home(), load_gateway(environment_name()))
    with report_waiting("asking the gateways"):
        moved = accept(find_home(), replicas, service, author, datetime.now(UTC))
    say(f"{service}: v{moved.champion} serves, at epoch {moved.epoch}, by {by}: {reason}")


@commands.command(rich_help_panel=PANEL)
def rollback(service: Rolled, by: By, reason: Reason) -> None:
    """Take the candidate off traffic, or serve the previous version again; it needs no Prefect."""
    roll_back_here(service, by, reason)


@commands.command(rich_help_panel=PANEL)
def restore(
    service: Rolled,
    version: Annotated[int, typer.Argument(min=1, help="The version that is to serve.")],
    by: By,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it did not pass its gates; recorded.")
    ] = False,
) -> None:
    """Make any earlier version champion that passed its gates; it needs no Prefect."""
    restore_here(service, version, by, reason, force)

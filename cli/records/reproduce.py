"""The command that makes a version again from its record."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.arguments import check_known
from cli.options import AsRecorded
from cli.output import say
from cli.runs import open_terminal, report_end

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

PANEL = "Show"
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def reproduce(
    service: Annotated[str, typer.Argument(help="Name of a service or a prompt.")],
    version: Annotated[int, typer.Argument(min=1, help="The version to make again.")],
    seed: AsRecorded = -1,
) -> None:
    """Make a version again from its record, and say whether it is identical."""
    check_known(service)

    with open_terminal():
        from flows.reproduction.reproduce import reproduce as flow

        state: State[Any] = flow(service, version, seed, return_state=True)
        result = report_end(state)
        if result.code == 0:
            say(f"{service} v{version}: {state.result().message}")
        sys.exit(result.code)

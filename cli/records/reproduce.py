"""The command that makes a version again from its record."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsRecorded
from cli.output import say
from cli.runs import open_terminal, report_end
from sluice.errors import ServiceUnknown

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


def check_known(service: str) -> None:
    """Refuse a name that neither a service nor a prompt has.

    Raises:
        ServiceUnknown: neither has it.
    """
    from sluice.config.loading import list_services
    from sluice.prompts.listing import list_prompts

    services, prompts = list_services(), list_prompts()
    if service not in (*services, *prompts):
        known = ", ".join((*services, *prompts))
        raise ServiceUnknown(f"no service or prompt '{service}'; known: {known}")

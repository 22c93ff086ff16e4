"""The command `score`: batch prediction from the terminal."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.arguments import check_source
from cli.options import Service, check_version
from cli.output import say
from cli.runs import open_terminal, report_end
from sluice.errors import ChoiceNeeded

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

commands = typer.Typer()


@commands.command(rich_help_panel="Data")
def score(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    service: Service,
    source: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="Parquet file, folder of them, or Delta table."),
    ],
    output: Annotated[str, typer.Option(metavar="DELTA", help="Delta table to append to.")],
    version: Annotated[
        int, typer.Option(help="Version of the model; -1: by alias.", callback=check_version)
    ] = -1,
    alias: Annotated[
        Literal["champion", "candidate", "previous"], typer.Option(help="Which version.")
    ] = "champion",
    keep: Annotated[
        str, typer.Option(help="Columns to keep: id, all, or names with commas between.")
    ] = "id",
    bad_rows: Annotated[
        Literal["refuse", "set-aside"], typer.Option(help="What to do with rows that do not fit.")
    ] = "refuse",
) -> None:
    """Predict for every row of an input and append the predictions to a Delta table."""
    check_source(service, source)
    check_model(version, alias)
    places = {"source": locate(source), "output": locate(output)}
    with open_terminal(service):
        from flows.score_batch import score_batch as flow

        state: State[Any] = flow(
            service,
            **places,
            version=version,
            alias=alias,
            keep=keep,
            bad_rows=bad_rows,
            return_state=True,
        )
        result = report_end(state)
        if result.code == 0:
            done = state.result()
            say(f"{done['scored']:,} rows are scored by {service} v{done['version']}: {output}")
            if done["set_aside"]:
                say(f"{done['set_aside']:,} rows do not fit the model: {output}-set-aside")
        sys.exit(result.code)


def check_model(version: int, alias: str) -> None:
    """Refuse a version beside an alias.

    Raises:
        ChoiceNeeded: both are named.
    """
    if version != -1 and alias != "champion":
        raise ChoiceNeeded(f"found --version {version} and --alias {alias}; allowed: one of them")


def locate(place: str) -> str:
    """Return a path as an absolute one; a URL stays as it is."""
    return place if "://" in place else str(Path(place).resolve())

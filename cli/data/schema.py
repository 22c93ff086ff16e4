"""The command about a service's columns: schema."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.arguments import check_service
from cli.direct import check_author, tell_prefect
from cli.options import By, Reason, Service
from cli.output import report_waiting, say, show_rows, warn
from sluice.errors import ChoiceNeeded, SchemaRefused

if TYPE_CHECKING:
    from sluice.data.evolution import SchemaChange
    from sluice.profile.facts.cells import Dates
    from tasks.data.evolution import SchemaPlan, SchemaRequest

PANEL = "Data"
ACTIONS = "add COLUMN [KIND]; rename COLUMN NAME; widen COLUMN KIND; drop COLUMN"
MOST_LINES = 40
"""Most changed lines of the files that are printed."""
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def schema(  # noqa: PLR0913, PLR0917 - a command has as many parameters as options
    service: Service,
    action: Annotated[
        Literal["add", "rename", "widen", "drop"] | None,
        typer.Argument(help="The columns if left out."),
    ] = None,
    words: Annotated[list[str] | None, typer.Argument(help=ACTIONS)] = None,
    file: Annotated[
        str, typer.Option("--from", help="First batch with an added column: its kind and rules.")
    ] = "",
    feature: Annotated[
        bool, typer.Option("--feature", help="The model uses the added column.")
    ] = False,
    dates: Annotated[
        Literal["day-first", "month-first"] | None,
        typer.Option(help="Order of day and month in an added column, where both would do."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = "",
    reason: Reason = "",
) -> None:
    """List a service's columns, or change them: table, data rules and configuration."""
    if action is None:
        list_columns(service)
        return
    request = read_request(service, action, words or [], file, feature, dates or "")
    change_columns(service, request, yes, by, reason)


def list_columns(service: str) -> None:
    """Print each column with its kind and its use, and the changes so far.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ConfigInvalid: the service's configuration is not right.
        DataUnavailable: the table cannot be reached.
    """
    from tasks.data.evolution import read_history

    data = check_service(service).data
    uses = dict.fromkeys(data.features, "feature")
    uses |= {data.id: "id", data.target: "target"}
    rows = [
        {"column": name, "kind": kind, "use": uses.get(name, "time" if name == data.time else "")}
        for name, kind in data.columns.items()
    ]
    show_rows(f"Columns of {service}", rows)
    if history := read_history(service):
        show_rows("Changes", history)
    say(f"sluice schema {service} {ACTIONS}")


def read_request(
    service: str, action: str, words: list[str], file: str, feature: bool, dates: "Dates" = ""
) -> "SchemaRequest":
    """Return the change that the words of the command ask for.

    Raises:
        ServiceUnknown: no configuration carries the name.
        ChoiceNeeded: dates can be read with the day first or the month first.
        SchemaRefused: words are missing, too many or contradict each other.
        DataInvalid: the file with the first batch cannot be read.
    """
    from tasks.data.evolution import propose_request

    change = _read_change(action, words)
    if (action != "add" and (file or feature)) or (dates and not file):
        given = "--dates without --from" if dates and not file else "--from or --feature"
        raise SchemaRefused(f"{action}: found {given}; allowed: with `add` only")
    config = check_service(service)
    return propose_request(config, change, feature, Path(file) if file else None, dates)


def _read_change(action: str, words: list[str]) -> "SchemaChange":
    from sluice.data.evolution import SchemaChange

    if action == "add" and len(words) in (1, 2):
        return SchemaChange("add", words[0], *words[1:])
    if action == "rename" and len(words) == 2:
        return SchemaChange("rename", words[0], name=words[1])
    if action == "widen" and len(words) == 2:
        return SchemaChange("widen", words[0], words[1])
    if action == "drop" and len(words) == 1:
        return SchemaChange("drop", words[0])
    found = shlex.join([action, *words])
    raise SchemaRefused(f"found `{found}`; allowed: {ACTIONS}")


def change_columns(service: str, request: "SchemaRequest", yes: bool, by: str, reason: str) -> None:
    """Show what a change does, ask, and make it.

    Raises:
        ServiceUnknown: no configuration carries the name.
        CommandRefused: name or reason are missing.
        SchemaRefused: the change is not allowed, or was made already.
        ChoiceNeeded: there is no terminal to ask at, and `--yes` is missing.
        Fault: the table, a folder or the control store cannot be reached.
    """
    author = check_author(service, "schema", by, reason)
    from sluice.adapters.control.store import prepare_control
    from tasks.data.evolution import change_schema, plan_schema

    show_plan(plan_schema(service, request))
    for note in request.notes:
        say(note.text) if not note.loud else warn(note.text)
    if request.follows:
        say(f"{request.change.column} {request.follows.description}: no rule on its old values")
    if not yes:
        _ask()
    with report_waiting("changing the table"):
        done = change_schema(service, request, author)
    say(f"{service}: {done.entry.message}")
    if done.data:
        say(f"table     version {done.data.version}, {done.data.rows:,} rows; older ones stay")
    say(f"next      sluice ingest {service} FILE; the next release uses the new columns")
    tell_prefect(prepare_control(), service)


def show_plan(plan: "SchemaPlan") -> None:
    """Print what a change does to the table and to the files."""
    say(plan.change.describe())
    if plan.restores:
        say("table     has the change already; the files follow")
    elif plan.changes_table:
        say("table     one new version; every older one stays as it is")
    for path in plan.texts:
        say(f"file      {os.path.relpath(path)}")
    lines = [*plan.list_lines(), *(f"{rule} (rule)" for rule in plan.list_rules())]
    for line in lines[:MOST_LINES]:
        say(f"  {line}")
    if len(lines) > MOST_LINES:
        say(f"  and {len(lines) - MOST_LINES} more lines")
    if plan.change.action == "drop":
        say("values    of the column stay in older versions only")


def _ask() -> None:
    """Ask whether to go on.

    Raises:
        ChoiceNeeded: there is no terminal to ask at.
        Exit: the answer was no.
    """
    if not sys.stdin.isatty():
        raise ChoiceNeeded("nothing was changed: this is no terminal; next: the same with --yes")
    if not typer.confirm("Make this change?"):
        raise typer.Exit(1)

"""The command about the traffic log's age: retention."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.output import say, show_rows
from sluice.errors import CommandRefused
from sluice.home import find_home

PANEL = "Run and deploy"
HOURS = 3600.0
commands = typer.Typer()


@commands.command(rich_help_panel=PANEL)
def retention(
    undo: Annotated[
        bool, typer.Option("--undo", help="Keep every hour that waits, and stop all deleting.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let deleting continue.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="The newest records have their true time.")
    ] = False,
    by: Annotated[str, typer.Option(help="Your name, as it stays on record.")] = "",
    reason: Annotated[str, typer.Option(help="Your reason, in a sentence.")] = "",
) -> None:
    """Show what will be deleted from the traffic log, or keep it."""
    chosen = [name for name, on in (("undo", undo), ("resume", resume), ("accept", accept)) if on]
    if chosen:
        change_retention(chosen, by.strip(), reason.strip())
    show_retention()


def change_retention(chosen: list[str], by: str, reason: str) -> None:
    """Change what will be deleted, as one of undo, resume and accept says.

    Raises:
        CommandRefused: more than one is given, or there is no name or no reason.
        DataUnavailable: a table, or the state of retention, cannot be reached.
    """
    if len(chosen) > 1:
        found = ", ".join(f"--{name}" for name in chosen)
        raise CommandRefused(f"retention: found {found}; allowed: one of them at a time")
    if not by or not reason:
        raise CommandRefused(f"retention --{chosen[0]}: needs --by and --reason, both not empty")
    from dataclasses import replace

    from sluice.adapters.tables.retention import measure_tables, open_retention
    from sluice.data.retention import Pause, accept_hours, stop_deleting

    home, now = find_home(), datetime.now(UTC).isoformat(timespec="seconds")
    words = f"by {by}: {reason}"
    with open_retention(home) as file:
        if chosen == ["undo"]:
            file.write(stop_deleting(file.state, Pause(by, reason, now)), f"{now} undo {words}")
        elif chosen == ["resume"]:
            file.write(replace(file.state, pause=None), f"{now} resume {words}")
        else:
            hours = {hour for sizes in measure_tables(home).values() for hour in sizes}
            file.write(accept_hours(file.state, hours), f"{now} accept {words}")


def show_retention() -> None:
    """Print which hours wait to be deleted, and whether deleting is stopped.

    Raises:
        DataUnavailable: the state of retention cannot be read.
    """
    from sluice.adapters.tables.retention import read_retention, retention_path
    from sluice.data.retention import WAIT_SECONDS, describe_ahead

    found = read_retention(retention_path(find_home()))
    say(f"newest hour that counts: {found.newest or 'none yet; the log-writer looks at its start'}")
    if alarm := describe_ahead(found):
        say(alarm)
    if found.pause:
        say(
            f"nothing is deleted since {found.pause.at}: {found.pause.reason} ({found.pause.by}); "
            "next: `sluice retention --resume --by NAME --reason WORDS`"
        )
    rows = [
        {
            "table": table,
            "hours": str(len(hours)),
            "from": min(hours),
            "to": max(hours),
            "first is deleted": f"in {max(WAIT_SECONDS - max(hours.values()), 0) / HOURS:.1f} h "
            "of the log-writer's running",
        }
        for table, hours in sorted(found.waiting.items())
        if hours
    ]
    if rows:
        show_rows("Hours (UTC) that will be deleted", rows)
        say("keep them: `sluice retention --undo --by NAME --reason WORDS`")
    elif not found.pause:
        say("no hour waits to be deleted")

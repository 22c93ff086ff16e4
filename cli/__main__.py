"""The console script `sluice`: all groups of commands as one application."""

import sys
from typing import Annotated

import typer

from cli import experiments, prompts, release, retention, rollout, show, stack
from cli.data import ingest, init, quarantine, rules, schema, score
from cli.live import drift, monitoring, simulate
from cli.output import exit_code, say
from cli.records import reproduce
from cli.security import audit, signing
from sluice.adapters.storage import close_state
from sluice.errors import SluiceError
from sluice.home import find_home

app = typer.Typer(
    help="Release models and prompts through gates that halt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
GROUPS = (
    init, rules, ingest, schema, quarantine, score, release, rollout, experiments, simulate,
    prompts, monitoring, drift, show, reproduce, stack, retention, audit, signing,
)  # fmt: skip
for group in GROUPS:
    app.add_typer(group.commands)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        say(f"sluice {version('sluice')}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and end.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Release models and prompts through gates that halt."""


def main() -> None:
    """Run a command; one of our errors ends it with its message and its exit code."""
    close_state(find_home().root)
    try:
        app()
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        sys.exit(exit_code(type(error).__name__))


if __name__ == "__main__":
    main()

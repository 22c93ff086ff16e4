"""The console script `sluice`: all groups of commands as one application."""

import sys

import typer

from cli import data, release, retention, rollout, show, simulate, stack
from cli.output import exit_code, say
from sluice.adapters.storage import close_state
from sluice.errors import SluiceError
from sluice.home import find_home

app = typer.Typer(
    help="Release models and prompts through gates that halt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (data, release, rollout, simulate, show, stack, retention):
    app.add_typer(group.commands)


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

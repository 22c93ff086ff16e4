"""How a demonstration ends in the terminal: in order, by Ctrl-C, or by an error."""

import time
from collections.abc import Callable

from cli.output import exit_code, say
from sluice.errors import SluiceError
from sluice.home import find_home

EXIT_INTERRUPTED = 130


def play_to_end(play: Callable[[], int], interrupted: Callable[[], int]) -> int:
    """Play, and return the exit code; after Ctrl-C that of `interrupted`, else 130."""
    try:
        return play()
    except KeyboardInterrupt:
        say("\ninterrupted: nothing is left running")
        return interrupted() or EXIT_INTERRUPTED
    except SluiceError as error:
        return say_error(error)


def say_error(error: SluiceError) -> int:
    """Print an error, and return its exit code."""
    say(f"{type(error).__name__}: {error}")
    return exit_code(type(error).__name__)


def show_pages(started: float, *, keep: bool) -> None:
    """Say how long it took, since a moment of `time.monotonic`; serve the pages, or say how to."""
    say(f"\n{time.monotonic() - started:.0f} s in all")
    if keep:
        from cli.stack import serve_pages

        serve_pages()
    else:
        print_hint()


def print_hint() -> None:
    """Say how to open the pages after the server has ended."""
    say(f"`SLUICE_HOME={find_home().root} .venv/bin/sluice ui` serves these pages until Ctrl-C")

"""`python -m demo`: play the story on the default service, clean or with a fault planted."""

import argparse
import signal
import sys
import time

from flows.terminal import EXIT_REFUSED, exit_code, say
from sluice.errors import SluiceError

KNOWN = ("data", "leakage", "bias", "worse")


def main() -> int:
    """Parse the command line, bring the session up, play."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--fault", choices=KNOWN, default="")
    parser.add_argument("--keep", action="store_true", help="keep the UI up until Ctrl-C")
    arguments = parser.parse_args()
    met = f"the fault `{arguments.fault}` meets" if arguments.fault else "data meets"
    say(f"Sluice: {met} the gates")
    from flows.running import open_terminal

    try:
        with open_terminal():
            from demo.scenario import play
            from sluice.config.overrides import Overrides

            ending = play(arguments.fault, Overrides())
            say(f"\n{time.perf_counter() - started:.0f} s in all")
            if arguments.keep:
                from flows.overview import serve_pages

                serve_pages()
            else:
                _say_pages(arguments.fault)
            return ending.code
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__) or EXIT_REFUSED


def _say_pages(fault: str) -> None:
    """Say how the pages behind the addresses are served, now that the server ends."""
    if fault:
        say(f"`make demo FAULT={fault} KEEP=1` plays it again and serves these pages until Ctrl-C")
    else:
        say("`.venv/bin/sluice ui` serves these pages until Ctrl-C; so does `make demo KEEP=1`")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())

"""`python -m demo`: the demonstration, clean or with a planted fault.

Releases run first; a candidate that passes its gates is then rolled out on live traffic.
"""

import argparse
import signal
import sys
import time

from cli.output import EXIT_REFUSED, exit_code, say
from sluice.adapters.storage import close_state
from sluice.errors import SluiceError
from sluice.home import find_home

EXIT_INTERRUPTED = 130

GATED = ("data", "leakage", "bias", "worse")
"""Faults of the data; a gate halts the release, and nothing goes live."""
LIVE = ("errors", "latency", "worse_live")
"""Faults of the model after its gates; the rollout detects them on live traffic."""


def main() -> int:
    """Parse the command line, open a session and run the demonstration."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--fault", choices=(*GATED, *LIVE), default="")
    parser.add_argument("--keep", action="store_true", help="keep the pages up until Ctrl-C")
    arguments = parser.parse_args()
    close_state(find_home().root)
    say(f"Sluice: {_announce(arguments.fault)}")
    from cli.runs import open_terminal

    try:
        with open_terminal():
            return _play(arguments.fault, arguments.keep, started)
    except KeyboardInterrupt:
        say("\ninterrupted: nothing is left running")
        return EXIT_INTERRUPTED
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__) or EXIT_REFUSED


def _announce(fault: str) -> str:
    if fault in LIVE:
        return f"releases pass the gates, then a rollout with the fault `{fault}` on live traffic"
    if fault:
        return f"releases of data with the fault `{fault}`"
    return "releases pass the gates, then a rollout on live traffic"


def _play(fault: str, keep: bool, started: float) -> int:
    """Run the releases, and a rollout if they pass; return the exit code."""
    from demo.scenario import SERVICE, play_releases
    from sluice.config.overrides import Overrides

    def finish() -> None:
        say(f"\n{time.perf_counter() - started:.0f} s in all")
        if keep:
            from cli.stack import serve_pages

            serve_pages()
        else:
            _print_hint(fault)

    result = play_releases(fault, Overrides())
    if result.code == 0:
        from demo.live import play_live

        return play_live(SERVICE, fault, finish).code
    finish()
    return result.code


def _print_hint(fault: str) -> None:
    """Say how to open the pages after the server has ended."""
    if fault:
        say(f"`make demo FAULT={fault} KEEP=1` runs it again and serves these pages until Ctrl-C")
    else:
        say("`.venv/bin/sluice ui` serves these pages until Ctrl-C; so does `make demo KEEP=1`")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())

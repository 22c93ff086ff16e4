"""`python -m demo`: play the story on the default service, clean or with a fault planted.

Releases run first; a candidate that its gates let through is then rolled out on live traffic.
"""

import argparse
import signal
import sys
import time

from cli.output import EXIT_REFUSED, exit_code, say
from sluice.errors import SluiceError

EXIT_INTERRUPTED = 130

GATED = ("data", "leakage", "bias", "worse")
"""Faults of the data: a gate meets them, and nothing goes live."""
LIVE = ("errors", "latency", "worse_live")
"""Faults of the model that no gate meets: live traffic does."""


def main() -> int:
    """Parse the command line, bring the session up, play."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--fault", choices=(*GATED, *LIVE), default="")
    parser.add_argument("--keep", action="store_true", help="keep the UI up until Ctrl-C")
    arguments = parser.parse_args()
    say(f"Sluice: {_announce(arguments.fault)}")
    from cli.runs import open_terminal

    try:
        with open_terminal():
            return _play(arguments.fault, arguments.keep, started)
    except KeyboardInterrupt:
        say("\nended: nothing is left running")
        return EXIT_INTERRUPTED
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__) or EXIT_REFUSED


def _announce(fault: str) -> str:
    if fault in LIVE:
        return f"data meets the gates, then the fault `{fault}` meets live traffic"
    return f"the fault `{fault}` meets the gates" if fault else "data meets the gates, then users"


def _play(fault: str, keep: bool, started: float) -> int:
    """Play releases, and a rollout where the gates were passed; give the exit code."""
    from demo.scenario import SERVICE, play
    from sluice.config.overrides import Overrides

    def stay() -> None:
        say(f"\n{time.perf_counter() - started:.0f} s in all")
        if keep:
            from cli.show import serve_pages

            serve_pages()
        else:
            _say_pages(fault)

    ending = play(fault, Overrides())
    if ending.code == 0:
        from demo.live import play_live

        return play_live(SERVICE, fault, stay).code
    stay()
    return ending.code


def _say_pages(fault: str) -> None:
    """Say how the pages behind the addresses are served, now that the server ends."""
    if fault:
        say(f"`make demo FAULT={fault} KEEP=1` plays it again and serves these pages until Ctrl-C")
    else:
        say("`.venv/bin/sluice ui` serves these pages until Ctrl-C; so does `make demo KEEP=1`")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())

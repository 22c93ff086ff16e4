"""`python -m demo`: the demonstration, clean or with a planted fault.

Releases run first; a candidate that passes its gates is then rolled out on live traffic.
"""

import argparse
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from cli.output import EXIT_GATE, say
from demo.ending import play_to_end, show_pages
from sluice.adapters.storage import close_state
from sluice.home import find_home

if TYPE_CHECKING:
    from cli.runs import RunResult

GATED = ("data", "leakage", "bias", "worse")
"""Faults of the data; a gate halts the release, and nothing goes live."""
CATCHERS = {
    "data": "DataRejected",
    "leakage": "DataRejected",
    "bias": "BiasFound",
    "worse": "CandidateWorse",
    "errors": "RolloutRolledBack",
    "latency": "RolloutRolledBack",
    "worse_live": "RolloutRolledBack",
}
"""The finding that has to stop each fault."""
LIVE = ("errors", "latency", "worse_live")
"""Faults of the model after its gates; the rollout detects them on live traffic."""


def main() -> int:
    """Parse the command line, open a session and run the demonstration."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--fault", choices=(*GATED, *LIVE), default="")
    parser.add_argument("--keep", action="store_true", help="keep the pages up until Ctrl-C")
    arguments = parser.parse_args()
    close_state(find_home().root)
    say(f"Sluice: {_announce(arguments.fault)}")
    return play_to_end(lambda: _play_alone(arguments.fault, arguments.keep, started), lambda: 0)


def _play_alone(fault: str, keep: bool, started: float) -> int:
    """Play in a world of its own; return the exit code."""
    from cli.runs import open_terminal
    from demo.world import enter_world

    with enter_world(find_home(), fault) as home:
        say(f"state, servers and ports of its own, in {home.root}")
        with open_terminal():
            return _play(fault, keep, started)


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

    finish = partial(show_pages, started, keep=keep)
    result = play_releases(fault, Overrides())
    if result.code == 0 and fault not in GATED:
        from demo.live import play_live

        return conclude(fault, play_live(SERVICE, fault, finish))
    finish()
    return conclude(fault, result)


def conclude(fault: str, result: "RunResult") -> int:
    """Say whether a planted fault was caught; return the exit code.

    Caught is 0, let through is 1. Anything else that ended the run keeps its own code.
    """
    if not fault:
        return result.code
    if result.error == CATCHERS[fault]:
        say(f"caught, as intended: {result.error}: {result.finding}")
        say(f"the run that was stopped ended with code {result.code}; the demo with 0")
        return 0
    if result.code not in (0, EXIT_GATE):
        return result.code
    ended = f"{result.error}: {result.finding}" if result.error else "nothing stopped it"
    say(f"NOT caught: the fault `{fault}` had to end as {CATCHERS[fault]}; {ended}")
    return EXIT_GATE


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())

"""The part of the local stack that looks what `watch` and `keeper` would have to do."""

from collections.abc import Mapping

from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.server.process_tree import mark_part
from sluice.adapters.server.worker import describe_environment
from sluice.home import Home

PART = "housekeeping"
STOP_SECONDS = 10.0


def start_housekeeping(home: Home, api: str, links: Mapping[str, str]) -> BackgroundProcess:
    """Start it without waiting for it; `links` are the addresses that its pages link to.

    Raises:
        OSError: the log cannot be written, or no process can be created.
    """
    environment = {**describe_environment(home, api, links), **mark_part(home, PART)}
    log = home.logs / "housekeeping.log"
    return start_background(
        "the housekeeping", ["-m", "cli", "housekeeping"], environment, log, home.root
    )

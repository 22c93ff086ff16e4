"""The rollout page as a part of a home's stack: a small process of its own."""

import os
from collections.abc import Mapping

from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.home import Home

PART = "rollout page"
PORT = 8090
STOP_SECONDS = 5.0


def start_rollout_page(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    """Start it on a port of loopback; it reads the control store when somebody looks."""
    arguments = ["-m", "serving.page", "--host", "127.0.0.1", "--port", str(port)]
    log = home.logs / "rollout-page.log"
    return start_background("the rollout page", arguments, {**os.environ, **mark}, log, home.root)

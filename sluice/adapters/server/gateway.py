"""The gateway as a part of a home's stack: a process of its own, which keeps its own parts."""

import os
from collections.abc import Mapping

from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.home import Home

PART = "gateway"
PORT = 8080
STOP_SECONDS = 25.0
"""Requests in flight finish first, and what was answered is logged."""


def start_gateway(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    """Start it on a port of loopback; it answers as soon as it has looked for its models."""
    arguments = ["-m", "serving", "--host", "127.0.0.1", "--port", str(port)]
    log = home.logs / "gateway.log"
    return start_background("the gateway", arguments, {**os.environ, **mark}, log, home.root)

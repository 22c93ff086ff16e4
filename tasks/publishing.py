"""Artifacts on a run's page, published though the orchestration server may be away for a while."""

import time
from collections.abc import Callable
from typing import Any

from httpx import TransportError
from prefect import get_run_logger

AWAY_SECONDS = 120.0
"""How long a server that is away is waited for; the registry has every verdict anyway."""
POLL_SECONDS = 2.0


def publish(create: Callable[..., object], key: str, **content: Any) -> None:
    """Create an artifact; a server that stays away costs the artifact, never the release.

    Prefect's own client tries for about a minute, and not at all before it first reached the
    server.
    """
    log, began, told = get_run_logger(), time.monotonic(), False
    while True:
        try:
            create(key=key, **content)
            return
        except TransportError as error:
            reason = str(error) or type(error).__name__
        waited = time.monotonic() - began
        if waited > AWAY_SECONDS:
            log.warning("no artifact %s: the server was away for %.0f s: %s", key, waited, reason)
            return
        if not told:
            log.warning("the artifact %s waits for the server: %s", key, reason)
            told = True
        time.sleep(POLL_SECONDS)

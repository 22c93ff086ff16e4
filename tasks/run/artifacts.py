"""Artifacts on a run's page, published even if the Prefect server is away for a moment."""

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any

from httpx import TransportError
from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import PREFECT_API_URL

from sluice.adapters.server.notes import send_page
from sluice.report.next_steps import DEAD_LINK

AWAY_SECONDS = 120.0
"""How long to wait for a server that is away; the registry has every verdict anyway."""
POLL_SECONDS = 2.0


def publish(create: Callable[..., object], key: str, **content: Any) -> None:
    """Create an artifact; if the server stays away the artifact is lost, but not the release.

    Prefect's own client retries for about a minute, and not at all before its first contact with
    the server.
    """
    log, began, warned = get_run_logger(), time.monotonic(), False
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
        if not warned:
            log.warning("the artifact %s waits for the server: %s", key, reason)
            warned = True
        time.sleep(POLL_SECONDS)


def create_page(key: str, markdown: str, description: str) -> None:
    """Create a Markdown artifact, of the run under way or, outside a run, of none.

    Outside a run it is lost, with a warning, if the server does not take it.
    """
    if FlowRunContext.get() or TaskRunContext.get():
        create_markdown_artifact(key=key, markdown=markdown, description=description)
    elif not send_page(PREFECT_API_URL.value() or "", markdown, key, description):
        get_run_logger().warning("no artifact %s: the server did not take it", key)


LIMIT = 900_000


def publish_plots(key: str, title: str, plots: Mapping[str, bytes], link: str) -> None:
    """Publish plots as one Markdown artifact, each under its name; beyond 900 kB only the link.

    A larger artifact slows the orchestrator's database for all users.
    """
    parts, room = [f"# {title}", f"[All of it in MLflow]({link}); {DEAD_LINK}"], LIMIT
    for name, plot in plots.items():
        encoded = base64.b64encode(plot).decode()
        room -= len(encoded)
        image = (
            f"![{name}](data:image/png;base64,{encoded})" if room > 0 else "too large; in MLflow"
        )
        parts += [f"## {name.replace('_', ' ')}", image]
    publish(create_markdown_artifact, key=key, markdown="\n\n".join(parts), description=title)

"""The page of all releases of a service, which is updated when a release ends."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import list_releases
from sluice.errors import GateFailed
from sluice.home import find_home
from sluice.plots.history import HistoryPoint, draw_history
from sluice.plots.style import render_png
from sluice.report.history import (
    FAILED,
    HALTED,
    OUTCOME,
    PRIMARY,
    REGISTERED,
    STOPPED,
    PastRelease,
    write_history,
)
from tasks.release.release import Release
from tasks.run.champions import find_serving
from tasks.run.links import registry_page

MOST_LETTERS = 4000


@contextmanager
def keep_history(release: Release) -> Iterator[None]:
    """Record the release's result and update the service's page, passed or not."""
    try:
        yield
    except Exception as error:
        outcome = HALTED if isinstance(error, GateFailed) else FAILED
        _end(release, outcome, f"{type(error).__name__}: {error}"[:MOST_LETTERS])
        raise
    _end(release, REGISTERED)


def _end(release: Release, outcome: str, stopped: str = "") -> None:
    note_end(release, outcome, stopped)
    publish_history(release.service)


def note_end(release: Release, outcome: str, stopped: str) -> None:
    """Log the release's result to the registry run; if that fails, only warn."""
    tags = {OUTCOME: outcome, **({STOPPED: stopped} if stopped else {})}
    try:
        open_registry(find_home()).log_facts(release.run_id, tags=tags)
    except Exception as error:  # the result of the release stays the same
        get_run_logger().warning("the registry run has no tag for its result: %s", error)


def publish_history(service: str) -> None:
    """Publish the service's releases as a page, an artifact that keeps its versions.

    The page is not part of a release: an error is logged and ignored.
    """
    try:
        releases = read_history(service)
        page = write_history(service, releases, draw_releases(service, releases))
        create_markdown_artifact(
            key=f"{service}-history",
            markdown=page,
            description=f"{service}: every release, newest first",
        )
    except Exception as error:
        get_run_logger().warning("the page of all releases was not updated: %s", error)


def read_history(service: str) -> list[PastRelease]:
    """Return the newest releases of a service, newest first.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    return list_releases(
        open_registry(find_home()), service, find_serving(service), registry_page()
    )


def draw_releases(service: str, releases: Sequence[PastRelease]) -> str:
    """Return a plot of the primary metric over releases, as base64 of a PNG; empty without data.

    Releases with another primary metric than the newest are left out.
    """
    metric = next((item.tags[PRIMARY] for item in releases if PRIMARY in item.tags), "")
    points = [
        HistoryPoint(item.label, *item.primary, item.limit, item.outcome == REGISTERED)
        for item in reversed(releases)
        if item.primary and item.tags.get(PRIMARY) == metric
    ]
    if not points:
        return ""
    return base64.b64encode(render_png(draw_history(service, metric, points))).decode()

"""The page of all releases of a service, which is updated when a release ends."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import list_releases
from sluice.adapters.registry.versions import REGISTERED as REGISTERED_TAG
from sluice.control.timeline import RELEASE, TimelineEntry
from sluice.errors import Fault, GateFailed
from sluice.home import find_home
from sluice.plots.history import HistoryPoint, draw_history
from sluice.plots.style import render_png
from sluice.report.history import (
    FAILED,
    HALTED,
    MAX_REASON,
    OUTCOME,
    PRIMARY,
    REGISTERED,
    STOPPED,
    PastRelease,
    write_history,
)
from sluice.report.timeline import add_releases, write_timeline
from tasks.release.release import Release
from tasks.run.champions import find_serving
from tasks.run.decorators import effect
from tasks.run.leases import prepare_control
from tasks.run.links import registry_page
from tasks.run.names import name_origin

MOST_LETTERS = 4000
PAGE = "timeline"
"""Subject of the watermark of the newest entry that the timeline's page has."""


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
    try:
        record_end(release, outcome, stopped)
    except Fault as error:  # the registry run has the result too
        get_run_logger().warning("the timeline has no entry of this release: %s", error)
    publish_history(release.service)


@effect
def record_end(release: Release, outcome: str, stopped: str) -> None:
    """Record the release's result in the service's timeline.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    registry, service = open_registry(find_home()), release.service
    run = str(flow_run.id)
    version = registry.find_registered(service, run) if outcome == REGISTERED else None
    alias = version.tags.get(REGISTERED_TAG, "") if version else ""
    result = f"registered v{version.version} as {alias}" if version else f"{outcome}: {stopped}"
    entry = TimelineEntry(
        service,
        datetime.now(UTC),
        RELEASE,
        version.version if version else None,
        reason=release.cause,
        origin=name_origin(),
        message=result[:MAX_REASON],
    )
    prepare_control().timeline.append(entry, once=True)


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
        publish_timeline(service, releases)
    except Exception as error:
        get_run_logger().warning("the page of all releases was not updated: %s", error)


def publish_timeline(service: str, releases: Sequence[PastRelease]) -> None:
    """Publish who did what, when, why and from where, as an artifact that keeps its versions.

    Raises:
        Fault: the control store cannot be reached.
    """
    entries = add_releases(service, prepare_control().timeline.list_entries(service), releases)
    create_markdown_artifact(
        key=f"{service}-timeline",
        markdown=write_timeline(service, entries),
        description=f"{service}: who did what, newest first",
    )


def publish_new_entries(service: str) -> None:
    """Publish the timeline if it has an entry that the last page did not have.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    control = prepare_control()
    newest = control.timeline.list_entries(service, 1)
    seen = control.watermarks.find(service, PAGE)
    mark = f"{newest[0].at.isoformat()} {newest[0].action}" if newest else ""
    if mark and seen.mark != mark and control.watermarks.move(seen, seen.settle(mark)):
        publish_timeline(service, read_history(service))


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

"""The page of all releases of a service, which is updated when a release ends."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from sluice.adapters.addresses import FLOW_RUNS
from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import list_releases
from sluice.adapters.registry.versions import REGISTERED as REGISTERED_TAG
from sluice.control.retraining import list_events
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
from sluice.report.timeline import add_releases, describe_page, write_timeline
from tasks.release.release import Release
from tasks.run.artifacts import create_page
from tasks.run.champions import find_serving
from tasks.run.decorators import effect
from tasks.run.links import link_page, registry_page
from tasks.run.names import name_origin
from tasks.run.served import publish_served

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
    """Record the release's result in the control store: with its gates, and in the timeline.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    registry, service = open_registry(find_home()), release.service
    run = str(flow_run.id)
    version = registry.find_registered(service, run) if outcome == REGISTERED else None
    alias = version.tags.get(REGISTERED_TAG, "") if version else ""
    number, now = version.version if version else None, datetime.now(UTC)
    result = f"registered v{number} as {alias}" if version else ""
    result = result or describe_stop(release.cause, release.serves, outcome, stopped)
    control = prepare_control()
    control.releases.close(
        service, release.run_id, outcome, now, number, (stopped or result)[:MOST_LETTERS]
    )
    entry = TimelineEntry(
        service,
        now,
        RELEASE,
        number,
        reason=release.cause,
        origin=name_origin(),
        message=result[:MAX_REASON],
    )
    control.timeline.append(entry, once=True)


def describe_stop(cause: str, serves: int | None, outcome: str, stopped: str) -> str:
    """Return what stopped a release; of a retraining also that the champion stays as it is."""
    stays = f", v{serves} still serves" if serves and list_events(cause) else ""
    return f"{outcome}{stays}: {stopped}"


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
    page = write_timeline(service, entries, link_page(FLOW_RUNS))
    create_page(markdown=page, **describe_page(service))
    publish_served(service)


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

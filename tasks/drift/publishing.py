"""A report of drift is published: in the registry beside its version, and as an artifact."""

from collections.abc import Sequence

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.windows import log_window
from sluice.drift.live.report import DriftReport, summarise
from sluice.errors import DriftFound
from sluice.home import find_home
from sluice.report.drift.artifact import write_artifact
from sluice.report.drift.figures import name_drift_figures
from sluice.report.drift.page import write_page
from sluice.report.drift.rows import write_headline
from tasks.drift.references import Reference
from tasks.run.artifacts import publish
from tasks.run.decorators import gate
from tasks.run.links import link_file

NEWEST, BY_HAND = "drift/report.html", "drift/by-hand.html"
"""Files of the version's registry run."""


def log_report(report: DriftReport, reference: Reference) -> str:
    """Log a report of a judged window to the version's run, and return the address of its page.

    The newest page replaces the one before. A window that opens or closes an alarm keeps a page of
    its own.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
        StorageFull: the disk is full.
        ValueError: the report has no window.
    """
    if report.window is None:
        raise ValueError("a report without a window is not logged as one")
    registry, run = open_registry(find_home()), reference.record.run_id
    page, names = write_page(report), [NEWEST]
    if any(one.change for one in report.kinds):
        names.append(f"drift/{report.window.end:%Y-%m-%dT%H-%M}.html")
    for name in names:
        registry.log_text(run, name, page)
    log_window(registry, run, name_drift_figures(report), report.window.end)
    return link_file(registry.store.find_experiment(report.service), run, names[-1])


def log_by_hand(report: DriftReport, reference: Reference) -> str:
    """Log a report that a person asked for, and return the address of its page.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
        StorageFull: the disk is full.
    """
    registry, run = open_registry(find_home()), reference.record.run_id
    registry.log_text(run, BY_HAND, write_page(report))
    return link_file(registry.store.find_experiment(report.service), run, BY_HAND)


def publish_report(report: DriftReport, link: str, key: str = "drift") -> None:
    """Publish a report as the artifact `SERVICE-drift`, whose page is the history."""
    publish(
        create_markdown_artifact,
        key=f"{report.service}-{key}",
        markdown=write_artifact(report, link),
        description=f"{write_headline(report)}. {summarise(report)}",
    )


@gate
def pass_drift(service: str, report: DriftReport | None, drops: Sequence[str] = ()) -> None:
    """Pass where no alarm is open and no performance dropped; too little data is no failure.

    Raises:
        DriftFound: an alarm is open, or the live performance dropped and has not recovered.
    """
    words = [summarise(report)] if report else []
    if drops or (report and report.outcome == "alarm"):
        raise DriftFound(
            f"{service}: {'; '.join([*drops, *words])}; next: `sluice drift {service}` and its "
            "report show what moved and what to do"
        )
    if report:
        get_run_logger().info("%s: %s", service, words[0])

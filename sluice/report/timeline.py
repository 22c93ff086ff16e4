"""A service's audit timeline for people: a page, and rows of a table."""

from collections.abc import Sequence

from sluice.control.approval import write_moment
from sluice.control.timeline import RELEASE, TimelineEntry, sort_entries
from sluice.report.card import write_table
from sluice.report.history import VERSION, PastRelease

HEADS = ("when", "action", "version", "by", "reason", "from", "result")
FLOW_RUN = "prefect.flow_run_id"
SHOWN = 100
"""Most entries on a page."""


def list_entries(entries: Sequence[TimelineEntry]) -> list[dict[str, str]]:
    """Return one row per entry, in the order given; every value is text without Markdown."""
    return [
        {
            "when": write_moment(item.at).removesuffix(" UTC"),
            "action": item.action,
            "version": f"v{item.version}" if item.version else "",
            "by": item.by,
            "reason": item.reason,
            "from": item.origin,
            "result": item.message,
        }
        for item in entries
    ]


def add_releases(
    service: str, entries: Sequence[TimelineEntry], releases: Sequence[PastRelease]
) -> list[TimelineEntry]:
    """Return a timeline with the releases of the registry that it lacks, newest first.

    The store has no record of releases that an earlier version of Sluice ran.
    """
    origins = " ".join(item.origin for item in entries if item.action == RELEASE)
    missing = [
        TimelineEntry(
            service,
            item.started,
            RELEASE,
            int(item.tags[VERSION]) if VERSION in item.tags else None,
            reason=item.tags.get("sluice.cause", ""),
            origin=f"the registry, flow run {run}" if run else "the registry",
            message=item.outcome,
        )
        for item in releases
        for run in [item.tags.get(FLOW_RUN, "")]
        if not run or run not in origins
    ]
    return sort_entries([*entries, *missing])


def write_timeline(service: str, entries: Sequence[TimelineEntry]) -> str:
    """Write a service's timeline as Markdown, newest first, times in UTC."""
    rows = [[row[head] for head in HEADS] for row in list_entries(entries[:SHOWN])]
    more = len(entries) - len(rows)
    parts = [
        f"# Timeline of {service}",
        "Who did what, when (UTC), why and from where, newest first. "
        f"`sluice history {service} --json` has all of it.",
        write_table(HEADS, rows),
    ]
    if more > 0:
        parts.append(f"{more} older entries.")
    return "\n\n".join(parts) + "\n"

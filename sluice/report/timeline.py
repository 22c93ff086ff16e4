"""A service's audit timeline for people: a page, and rows of a table."""

import re
from collections.abc import Mapping, Sequence

from sluice.control.approval import write_moment
from sluice.control.timeline import RELEASE, TimelineEntry, sort_entries
from sluice.report.history import ADVICE, VERSION, PastRelease
from sluice.report.markdown import Cell, Column, wrap_cell, write_fitted

COLUMNS = (
    Column("when", 16),
    Column("by", 12),
    Column("reason", 18),
    Column("from", 16),
    Column("result", 22),
)
RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
FLOW_RUN = "prefect.flow_run_id"
SHOWN = 100
"""Most entries on a page."""


def describe_page(service: str) -> dict[str, str]:
    """Return the key and the description of the artifact that has a service's timeline."""
    return {"key": f"{service}-timeline", "description": f"{service}: who did what, newest first"}


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


def write_timeline(service: str, entries: Sequence[TimelineEntry], runs: str = "") -> str:
    """Write a service's timeline as Markdown, newest first, times in UTC.

    `runs` is the address in front of a flow run's id; with it, flow runs are links.
    """
    rows = [_list_cells(row, runs) for row in list_entries(entries[:SHOWN])]
    more = len(entries) - len(rows)
    parts = [
        f"# Timeline of {service}",
        "Who did what, when (UTC), why and from where, newest first. "
        f"`sluice history {service} --json` has all of it.",
        write_fitted(COLUMNS, rows),
    ]
    if more > 0:
        parts.append(f"{more} older entries.")
    return "\n\n".join(parts) + "\n"


def _list_cells(row: Mapping[str, str], runs: str) -> list[Cell]:
    width = COLUMNS[3].letters
    action = wrap_cell(f"{row['action']} {row['version']}".strip(), COLUMNS[0].letters)
    found = RUN.search(row["from"])
    origin = wrap_cell(RUN.sub("", row["from"]).strip(), width)
    if found:
        name = found[0][:8]
        origin = (*origin, f"[{name}]({runs}{found[0]})" if runs else name)
    when = (row["when"], *(f"**{line}**" for line in action))
    return [when, row["by"], row["reason"], origin, row["result"].partition(ADVICE)[0]]

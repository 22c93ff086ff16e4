"""A service's audit timeline for people: a page, and rows of a table."""

from collections.abc import Sequence

from sluice.control.approval import write_moment
from sluice.control.timeline import TimelineEntry
from sluice.report.card import write_table

HEADS = ("when", "action", "version", "by", "reason", "from", "result")
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

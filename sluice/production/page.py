"""The history of production for people: a page of Prefect, and rows of a table."""

from collections.abc import Sequence

from sluice.production.served import ServedPeriod, write_minute
from sluice.report.markdown import Cell, Column, write_fitted

COLUMNS = (
    Column("version", 10),
    Column("since (UTC)", 16),
    Column("until", 16),
    Column("why", 26),
    Column("by", 12),
)
SHOWN = 100
"""Most periods on a page."""


def describe_page(service: str) -> dict[str, str]:
    """Return the key and the description of the artifact that has who served when."""
    return {"key": f"{service}-served", "description": f"{service}: who served when, newest first"}


def list_rows(periods: Sequence[ServedPeriod]) -> list[dict[str, str]]:
    """Return one row a period, in the order given; every value is text without Markdown."""
    return [
        {
            "version": f"v{item.version}",
            "role": "on trial" if item.on_trial else "served",
            "since": write_minute(item.since),
            "until": write_minute(item.until) if item.until else "now",
            "why": _explain(item),
            "by": item.by,
        }
        for item in periods
    ]


def write_served(service: str, periods: Sequence[ServedPeriod]) -> str:
    """Write the history of production as Markdown, newest first."""
    rows: list[list[Cell]] = [
        [f"{row['version']} {row['role']}", row["since"], row["until"], row["why"], row["by"]]
        for row in list_rows(periods[:SHOWN])
    ]
    parts = [
        f"# What served: {service}",
        f"Newest first. `sluice history {service} --served --json` has all of it.",
        write_fitted(COLUMNS, rows),
    ]
    if len(periods) > SHOWN:
        parts.append(f"{len(periods) - SHOWN} older periods.")
    return "\n\n".join(parts) + "\n"


def _explain(item: ServedPeriod) -> str:
    """Return why a version came to serve: the cause, what it replaced, the trial, the reason."""
    parts = [item.cause]
    if item.replaced and not item.on_trial:
        parts[0] += f" instead of v{item.replaced}"
    if item.trial:
        share = f"at up to {item.trial.weight:.0%}" if item.trial.weight else "in shadow only"
        parts.append(share if item.on_trial else item.trial.describe())
    if item.reason:
        parts.append(item.reason)
    return "; ".join(parts)

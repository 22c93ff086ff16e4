"""The table of the documentation, made from the committed figures."""

import json
from pathlib import Path
from typing import Any

from benchmarks.harness.results import FOLDER
from benchmarks.own_data.catalog import PublicData, read_catalog
from sluice.home import PROJECT

PAGE = PROJECT / "docs" / "own-data-results.md"
RESULTS = FOLDER / "own_data.json"
BEGIN, END = "<!-- figures: make bench-own-data -->", "<!-- end of the figures -->"
HEADS = (
    "data set",
    "rows",
    "features",
    "held out",
    "metric",
    "service",
    "plain, same columns",
    "plain, all columns",
    "outcome",
    "init / ingest / release, s of CPU",
    "GB",
)


def write_page() -> Path:
    """Write the table into the page, between its two marks; return the page's path."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{make_tables()}\n\n{END}{after}", encoding="utf-8")
    return PAGE


def make_tables() -> str:
    """Return the tables of figures, of outcomes without a champion, and of what was left out."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))["notes"]["data sets"]
    catalog = [data for data in read_catalog() if data.name in found]
    figures = _write_table(HEADS, [_write_figures(data, found[data.name]) for data in catalog])
    halted = [_explain(data, found[data.name]) for data in catalog]
    heads = ("data set", "what happened", "why that is right")
    outcomes = _write_table(heads, [row for row in halted if row])
    columns = [_list_left_out(data, found[data.name]) for data in catalog]
    left = _write_table(("data set", "left out, with the reason that was written down"), columns)
    return (
        f"## Figures\n\n{figures}\n\n## What halts, and what waits for a person\n\n{outcomes}\n\n"
        f"## Columns that were left out\n\n{left}"
    )


def _write_table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _write_figures(data: PublicData, facts: dict[str, Any]) -> tuple[str, ...]:
    costs = facts["costs"]
    seconds = [f"{costs[stage]['cpu']:.0f}" if stage in costs else "-" for stage in STAGES]
    memory = max(cost["memory"] for cost in costs.values())
    rest = (_name_outcome(facts), " / ".join(seconds), f"{memory:.2f}")
    if "service" not in facts:
        return (data.title, f"{facts['rows']:,}", *["-"] * 6, *rest)
    several = f", mean of {facts['splits']} splits" if facts["splits"] > 1 else ""
    held = f"{facts['held_out']:,} by {facts['split']}{several}"
    figures = [_show(facts[key]) for key in ("service", "plain", "plain_all")]
    count = f"{len(facts['features'])} of {len(facts['columns']) - 2}"
    return (data.title, f"{facts['rows']:,}", count, held, facts["metric"], *figures, *rest)


STAGES = ("init", "ingest", "release")


def _show(value: float) -> str:
    """Return four significant digits."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _name_outcome(facts: dict[str, Any]) -> str:
    if facts["outcome"] == "halted":
        return facts["finding"] or f"{facts['stage']} stops"
    if facts["outcome"] == "champion" and facts["question"]:
        return "approved, serves"
    names = {"champion": "serves", "refused": "refused by a person", "waits": "waits for a person"}
    return names[facts["outcome"]]


def _explain(data: PublicData, facts: dict[str, Any]) -> tuple[str, ...]:
    """Return what happened to a data set that a gate or a person stopped; empty for the others."""
    if facts["outcome"] == "champion" and not facts["question"]:
        return ()
    said = facts["question"]
    if facts["outcome"] == "halted":
        said = f"{facts['finding']}: {facts['reason']}"
    return (data.title, said.replace("|", "/"), data.remark or facts["reason"])


def _list_left_out(data: PublicData, facts: dict[str, Any]) -> tuple[str, ...]:
    reasons = {data.target: "", **dict.fromkeys(data.sensitive, "sensitive")}
    reasons |= data.may_be_left_out
    listed = [
        f"`{name}` ({reasons.get(name, 'not written down')})"
        for name in facts.get("left_out", ())
        if name != data.target
    ]
    return (data.title, "; ".join(listed))

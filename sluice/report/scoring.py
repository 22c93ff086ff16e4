"""The page of a batch prediction."""

from dataclasses import dataclass
from datetime import datetime

from sluice.report.markdown import Cell, Column, write_fitted
from sluice.report.verdict_table import format_number

FACTS = (Column("fact", 26), Column("value", 60))


@dataclass(frozen=True)
class ScoringFacts:
    """What a batch prediction read and wrote: addresses, and numbers of rows."""

    service: str
    version: int
    source: str
    mark: str
    output: str
    set_aside_table: str
    scored_at: datetime
    rows: int
    scored: int
    set_aside: int
    before: int


def write_scoring(facts: ScoringFacts) -> str:
    """Write a batch prediction as Markdown: where its rows are, and how many of each."""
    rows: list[tuple[Cell, ...]] = [
        ("model version", f"{facts.service} v{facts.version}"),
        ("input", f"{facts.source}, {facts.mark}"),
        ("output", facts.output),
        ("scored at", facts.scored_at.strftime("%Y-%m-%d %H:%M:%S.%f UTC")),
        ("rows of the input", format_number(facts.rows)),
        ("rows scored", format_number(facts.scored)),
        ("rows set aside", format_number(facts.set_aside)),
        ("rows that an earlier attempt had done", format_number(facts.before)),
    ]
    if facts.set_aside:
        rows.append(("reasons, row by row", facts.set_aside_table))
    return f"# {facts.service}: batch prediction\n\n{write_fitted(FACTS, rows)}\n"

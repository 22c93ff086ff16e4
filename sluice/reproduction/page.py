"""A reproduction for people: a page of Prefect."""

from collections.abc import Sequence

from sluice.report.markdown import Cell, Column, write_fitted
from sluice.reproduction.comparison import ComparedFact, Reproduction

COLUMNS = (
    Column("fact", 20),
    Column("recorded", 22),
    Column("now", 22),
    Column("same", 12),
)


def describe_page(service: str) -> dict[str, str]:
    """Return the key and the description of the artifact that has a service's reproductions."""
    return {"key": f"{service}-reproduction", "description": f"{service}: made again from records"}


def write_reproduction(found: Reproduction) -> str:
    """Write a reproduction as Markdown: the result first, then each fact beside its record."""
    parts = [
        f"# {found.service} v{found.version}: {found.outcome}",
        found.describe() + ".",
        write_fitted(COLUMNS, _list_rows(found.facts)),
    ]
    if found.environment:
        parts.append(f"Made again in {found.environment}, in {found.seconds:,.0f} s.")
    parts += [f"- {note}" for note in found.notes]
    parts.append("Predictions are compared to the last bit. `docs/reproduction.md` has the rest.")
    return "\n\n".join(parts) + "\n"


def _list_rows(facts: Sequence[ComparedFact]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for item in facts:
        same = "yes" if item.is_same else f"no, {item.differing:,} of {item.n:,}"
        shown = same if item.decides or item.is_same else f"{same}; not decisive"
        rows.append([item.name, _space(item.recorded), _space(item.found), shown])
    return rows


def _space(text: str) -> str:
    """Return a text in which long words, such as hashes, can be broken."""
    return " ".join(
        word if len(word) <= COLUMNS[1].letters else f"{word[:18]}..." for word in text.split(" ")
    )

"""What is wished of each prompt beside what serves, as Markdown."""

from collections.abc import Iterable

from sluice.control.prompt_wish import PromptWish
from sluice.report.markdown import Column, escape, write_fitted

WISHES = (Column("prompt", 40), Column("wished", 10), Column("serves", 10))


def write_standing(wishes: Iterable[PromptWish], environment: str) -> str:
    """Write a row per prompt, then what to do where wish and fact differ.

    A note can have a command, which a cell would cut.
    """
    found = list(wishes)
    rows = [
        (item.prompt, f"v{item.wished}", f"v{item.serves}" if item.serves else "nothing")
        for item in found
    ]
    notes = [f"- {item.prompt}: {escape(item.explain())}" for item in found if item.explain()]
    parts = [f"# Prompts in {environment}", "", write_fitted(WISHES, rows)]
    return "\n".join([*parts, *([""] if notes else []), *notes])

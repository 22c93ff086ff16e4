"""Markdown tables: plain ones, and ones that fit Prefect's page in a window of 1,280 pixels.

Prefect's page of an artifact leaves a table 708 pixels there and never wraps a cell, so a fitted
table breaks its lines itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

PAGE_PIXELS = 708
"""Pixels that the narrower of Prefect's two pages leaves a table whose cells do not wrap."""
LETTER_PIXELS, CELL_PIXELS = 7, 24
"""Mean width of a letter in a cell, rounded up, and the space around a cell."""
BREAK = "<br>"
Cell = str | tuple[str, ...]
"""Plain text, which is escaped and wrapped, or lines of Markdown, which stay as they are."""
_MARKS = re.compile(r"\[([^\]]*)\]\([^)]*\)|\*\*|`")


@dataclass(frozen=True)
class Column:
    """A column of a fitted table: its head, and the most letters in a line of a cell."""

    head: str
    letters: int


def write_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; pipes and line breaks in cells are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(escape, line))} |" for line in lines)


def write_fitted(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """Write a Markdown table whose cells have several short lines instead of a long one."""
    lines = [[column.head for column in columns], ["---"] * len(columns)]
    for row in rows:
        cells = [wrap_cell(cell, one.letters) for cell, one in zip(row, columns, strict=True)]
        lines.append([BREAK.join(cell) for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wrap_cell(cell: Cell, letters: int) -> tuple[str, ...]:
    """Return a cell's lines as Markdown; code that a break would cut is closed and opened again."""
    if not isinstance(cell, str):
        return cell
    lines, is_code = [], False
    for line in wrap(cell, letters, break_on_hyphens=False):
        opened = f"`{line}" if is_code else line
        is_code = opened.count("`") % 2 == 1
        lines.append(escape(f"{opened}`" if is_code else opened))
    return tuple(lines)


def measure_table(table: str) -> int:
    """Return the pixels that a Markdown table needs on Prefect's page, about."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    del rows[1]
    widths = [max(_count_letters(cell) for cell in column) for column in zip(*rows, strict=True)]
    return sum(width * LETTER_PIXELS + CELL_PIXELS for width in widths)


def escape(cell: str) -> str:
    """Return text that cannot end its cell."""
    return cell.replace("|", "\\|").replace("\n", " ")


def _count_letters(cell: str) -> int:
    """Return the letters of a cell's longest line, without marks and addresses."""
    return max(len(_MARKS.sub(r"\1", line).strip()) for line in cell.split(BREAK))

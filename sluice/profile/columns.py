"""The facts of each column of a file that belongs to no service yet."""

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import ColumnKind
from sluice.data.schema import ARROW_TYPES, cast_column
from sluice.errors import DataInvalid

LEVELS = 30
"""Most different values of a column that are listed one by one."""
NULL_WORDS = ("na", "n/a", "null", "none", "?", "-", "missing", "unknown")
LEADING_ZERO = r"^-?0\d"
ISO_DATE = r"^\d{4}-\d{2}-\d{2}($|[T ])"


@dataclass(frozen=True)
class ColumnFacts:
    """The content of one column; `reason` is the reason for its kind.

    `levels` are its values where there are at most 30, and `counts` are their rows. `low` and
    `high` bound integers, numbers and timestamps. `dated`: every text begins with an ISO date.
    """

    name: str
    kind: ColumnKind
    reason: str
    rows: int
    nulls: int
    distinct: int
    levels: tuple[Any, ...] = ()
    counts: tuple[int, ...] = ()
    low: Any = None
    high: Any = None
    dated: bool = False

    @property
    def constant(self) -> bool:
        """Whether it has one value, or none, in every row."""
        return self.distinct == 0 or (self.distinct == 1 and self.nulls == 0)

    @property
    def unique(self) -> bool:
        """Whether every row has a value that no other row has."""
        return self.nulls == 0 and self.distinct == self.rows

    @property
    def numeric(self) -> bool:
        """Whether its values are integers or numbers."""
        return self.kind in ("integer", "number")


def guess_kind(cells: pa.ChunkedArray) -> tuple[ColumnKind, str]:
    """Return the kind that every text cell fits, as a CSV is parsed later, and the reason."""
    present = pc.drop_null(pc.utf8_trim_whitespace(cells))
    if len(present) == 0:
        return "text", "every cell is empty"
    if pc.any(pc.match_substring_regex(present, LEADING_ZERO)).as_py() and not _has_points(present):
        return "text", "digits with leading zeros, which a number would lose"
    tries: tuple[tuple[ColumnKind, str], ...] = (
        ("integer", "whole numbers throughout"),
        ("number", "numbers throughout"),
        ("timestamp", "times with a time zone throughout"),
    )
    for kind, reason in tries:
        if _can_cast(present, ARROW_TYPES[kind]):
            return kind, reason
    lower = pc.utf8_lower(present)
    if pc.all(pc.is_in(lower, pa.array(["true", "false"]))).as_py():
        return "boolean", "`true` and `false` throughout"
    words = pc.is_in(lower, pa.array(NULL_WORDS))
    rest, gaps = present.filter(pc.invert(words)), pc.sum(words).as_py()
    if gaps and len(rest) and _can_cast(rest, pa.float64()):
        word = present.filter(words)[0].as_py()
        return "text", f"numbers, except for {gaps:,} cells such as '{word}': empty those cells"
    return "text", "words"


def kind_of_type(column: pa.ChunkedArray, name: str, source: str) -> tuple[ColumnKind, str]:
    """Return the kind that a stored column's type stands for, and the reason.

    Raises:
        DataInvalid: the type is not one that a service can have.
    """
    types, found = pa.types, column.type
    if types.is_dictionary(found):
        found = found.value_type
    fitting: tuple[tuple[ColumnKind, bool], ...] = (
        ("integer", types.is_integer(found)),
        ("number", types.is_floating(found)),
        ("boolean", types.is_boolean(found)),
        ("timestamp", types.is_timestamp(found) or types.is_date(found)),
        (
            "text",
            types.is_string(found)
            or types.is_large_string(found)
            or types.is_string_view(found)
            or types.is_null(found),
        ),
    )
    for kind, fits in fitting:
        if fits:
            return kind, f"stored as {found}"
    raise DataInvalid(
        f"{source}: column '{name}': found {found}, allowed: {', '.join(ARROW_TYPES)}; "
        "cast it, or leave it out of the file"
    )


def describe_column(
    name: str, column: pa.ChunkedArray, kind: ColumnKind, reason: str, source: str
) -> tuple[pa.ChunkedArray, ColumnFacts]:
    """Return a column in its kind's type, and its facts over every row.

    Raises:
        DataInvalid: a value does not fit the kind, or is infinite.
    """
    if kind in ("integer", "number", "timestamp") and pa.types.is_string(column.type):
        column = pc.utf8_trim_whitespace(column).cast(ARROW_TYPES[kind])
    if kind == "boolean" and pa.types.is_string(column.type):
        column = pc.utf8_lower(pc.utf8_trim_whitespace(column)).cast(pa.bool_())
    column = cast_column(column, name, kind, source)
    present = pc.drop_null(column)
    counts = pc.value_counts(present)
    listed = len(counts) <= LEVELS
    pairs = sorted(zip(*_unzip(counts), strict=True)) if listed else []
    bounds = pc.min_max(present).as_py() if kind not in ("text", "boolean") else {}
    facts = ColumnFacts(
        name=name,
        kind=kind,
        reason=reason,
        rows=len(column),
        nulls=column.null_count,
        distinct=len(counts),
        levels=tuple(value for value, _ in pairs),
        counts=tuple(count for _, count in pairs),
        low=bounds.get("min"),
        high=bounds.get("max"),
        dated=kind == "text" and len(present) > 0 and _is_dated(present),
    )
    return column, facts


def _unzip(counts: Any) -> tuple[list[Any], list[int]]:
    return counts.field("values").to_pylist(), counts.field("counts").to_pylist()


def _is_dated(present: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.match_substring_regex(present, ISO_DATE)).as_py())


def _has_points(present: pa.ChunkedArray) -> bool:
    """Return whether a cell is a decimal such as 0.5, or a date, so that a zero may lead."""
    return bool(pc.any(pc.match_substring_regex(present, r"[.eE:T-]")).as_py())


def _can_cast(present: pa.ChunkedArray, target: pa.DataType) -> bool:
    try:
        present.cast(target)
    except pa.ArrowInvalid:
        return False
    return True


def split_words(name: str) -> list[str]:
    """Return the lower-case words of a column's name: `HomeOwner_ID` has home, owner, id."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]

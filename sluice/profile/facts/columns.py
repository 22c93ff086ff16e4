"""The facts of each column of a file that belongs to no service yet."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import ColumnKind
from sluice.data.schema import ARROW_TYPES, cast_column, holds_long_integers, is_text
from sluice.errors import DataInvalid

LEVELS = 30
"""Most different values of a column that are listed one by one."""
ID_WORDS = {
    "id", "key", "uuid", "guid", "ident", "identifier", "number", "no", "nr", "nummer",
}  # fmt: skip
"""Words of a name that say that a column names things."""
WRITTEN_TOGETHER = (
    r"^(account|case|claim|client|customer|device|driver|employee|household|invoice|item|loan"
    r"|member|order|passenger|patient|person|policy|product|record|row|sample|session|store"
    r"|student|subject|transaction|trip|user|visit)(id|key|no)$",
    r"^(\w{3,})(nummer)$",
)
"""Words of a name that hold two, such as `customerid` and `Kundennummer`."""
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


def kind_of_type(column: pa.ChunkedArray, name: str, source: str) -> tuple[ColumnKind, str]:
    """Return the kind that a stored column's type stands for, and the reason.

    Raises:
        DataInvalid: the type is not one that a service can have.
    """
    types, found = pa.types, column.type
    if types.is_dictionary(found):
        found = found.value_type
    if holds_long_integers(found):
        return _judge_long_integers(column, found)
    counted = types.is_time(found) or types.is_duration(found)
    fitting: tuple[tuple[ColumnKind, bool, str], ...] = (
        ("integer", types.is_integer(found), ""),
        ("number", types.is_floating(found) or types.is_decimal(found), ""),
        ("number", counted, ", read as seconds"),
        ("boolean", types.is_boolean(found), ""),
        ("timestamp", types.is_timestamp(found) or types.is_date(found), ""),
        ("text", is_text(found) or types.is_null(found), ""),
    )
    for kind, fits, words in fitting:
        if fits:
            return kind, f"stored as {found}{words}"
    raise DataInvalid(
        f"{source}: column '{name}': found {found}, allowed: {', '.join(ARROW_TYPES)}; "
        "cast it, or leave it out of the file"
    )


def _judge_long_integers(column: pa.ChunkedArray, found: pa.DataType) -> tuple[ColumnKind, str]:
    """Return the kind of whole numbers that may have more than 64 bits."""
    try:
        column.cast(found).cast(pa.int64())
    except pa.ArrowInvalid:
        return "text", f"stored as {found}, more digits than a number can hold: names, not amounts"
    return "integer", f"stored as {found}"


def describe_column(
    name: str, column: pa.ChunkedArray, kind: ColumnKind, reason: str, source: str
) -> tuple[pa.ChunkedArray, ColumnFacts]:
    """Return a column in its kind's type, and its facts over every row.

    Raises:
        DataInvalid: a value does not fit the kind, or is infinite.
    """
    if kind != "text" and pa.types.is_string(column.type):
        column = pc.utf8_lower(pc.utf8_trim_whitespace(column)).cast(ARROW_TYPES[kind])
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


def split_words(name: str) -> list[str]:
    """Return the lower-case words of a column's name, without accents.

    `HomeOwner_ID` has home, owner, id; `customerid` customer, id; `Staatsangehörigkeit` is one.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[\W_]+", fold_text(spaced)) if word]
    found: list[str] = []
    for word in words:
        pairs = (re.match(pattern, word) for pattern in WRITTEN_TOGETHER)
        pair = next((match for match in pairs if match), None)
        found += pair.groups() if pair else [word]
    return found


def fold_text(text: str) -> str:
    """Return text in lower case, without accents and spaces around it, so that it compares."""
    apart = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))

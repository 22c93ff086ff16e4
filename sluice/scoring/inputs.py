"""The columns that a version reads from an input, checked and cast; rows that do not fit."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import ColumnKind, DataConfig
from sluice.data.schema import SHOWN_CHARACTERS, cast_column, cast_times, describe_form
from sluice.errors import DataInvalid

if TYPE_CHECKING:
    import pandas as pd

ALLOWED: dict[ColumnKind, str] = {
    "integer": "a whole number of 64 bits, or null",
    "number": "a finite number, or null",
    "text": "a text, or null",
    "boolean": "true, false or null",
}


@dataclass(frozen=True)
class BadRow:
    """A row that the model cannot read: its number in the file from 1, column, and the reason."""

    file: str
    row: int
    column: str
    found: str
    allowed: str

    def describe(self) -> str:
        """Return it in words: file, row, column, what was found, what is allowed."""
        return (
            f"{self.file}: row {self.row:,}: column '{self.column}': found {self.found}, "
            f"allowed: {self.allowed}"
        )


@dataclass(frozen=True, eq=False)
class SiftedRows:
    """Rows whose features fit: `kept` as they came, `features` in the kinds of the model.

    Both are aligned. `bad` are the rows that were left out of them.
    """

    kept: pa.Table
    features: pa.Table
    bad: tuple[BadRow, ...] = ()


def check_input_schema(
    schema: pa.Schema, data: DataConfig, kept: Sequence[str], source: str
) -> None:
    """Check that an input has the features, in types that can hold their kinds, and what is kept.

    Raises:
        DataInvalid: a column is missing, given twice, or of another type; the message names the
            file, the column, what was found and what is allowed.
    """
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise DataInvalid(f"{source}: column '{twice[0]}' is given more than once; rename one")
    for name in (*data.features, *kept):
        if name not in schema.names:
            raise DataInvalid(_explain_missing(name, schema.names, data, source))
    for name in data.features:
        empty = pa.chunked_array([], schema.field(name).type)
        if data.columns[name] == "timestamp":
            cast_times(empty, name, data.reading, source)
        else:
            cast_column(empty, name, data.columns[name], source)


def _explain_missing(name: str, found: list[str], data: DataConfig, source: str) -> str:
    close = difflib.get_close_matches(name, found, 1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    if name in data.features:
        way = f"the model reads {', '.join(data.features)}; next: add or rename the column"
    else:
        way = "it is a column to keep; next: keep other columns (`--keep all`, `--keep NAMES`)"
    return f"{source}: column '{name}' is missing{hint}; found: {', '.join(found)}; {way}"


def sift_inputs(
    table: pa.Table, data: DataConfig, kept: Sequence[str], source: str, first: int = 0
) -> SiftedRows:
    """Cast the features of some rows, and leave the rows out that do not fit.

    `first` is the number of the first row in its file, from 0. The rules are those of the gateway:
    a feature may be null, a whole number may be written as 3.0, and no number is infinite.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    found: dict[int, BadRow] = {}
    for name in data.features:
        columns[name], places = _cast_feature(table.column(name), name, data, source)
        for place in places:
            if place not in found:
                value = repr(table.column(name)[place].as_py())[:SHOWN_CHARACTERS]
                allowed = _describe_allowed(name, data)
                found[place] = BadRow(source, first + place + 1, name, value, allowed)
    features, rows = pa.table(columns), table.select(list(kept))
    if not found:
        return SiftedRows(rows, features)
    good = pa.array([place not in found for place in range(table.num_rows)])
    bad = tuple(found[place] for place in sorted(found))
    return SiftedRows(rows.filter(good), features.filter(good), bad)


def _cast_feature(
    column: pa.ChunkedArray, name: str, data: DataConfig, source: str
) -> tuple[pa.ChunkedArray, list[int]]:
    """Return a feature in its kind, null where a cell does not fit, and the rows of such cells."""
    kind = data.columns[name]
    if kind == "timestamp":
        times = cast_times(column, name, data.reading, source)
        return times.moments, pc.indices_nonzero(times.bad).to_pylist()
    try:
        return cast_column(column, name, kind, source), []
    except DataInvalid:
        places = list(_find_misfits(column, name, kind, 0))
    marks = set(places)
    mask = pa.array([place in marks for place in range(len(column))])
    cleaned = pc.if_else(mask, pa.scalar(None, column.type), column)
    return cast_column(cleaned, name, kind, source), places


def _find_misfits(
    column: pa.ChunkedArray, name: str, kind: ColumnKind, start: int
) -> Iterator[int]:
    """Yield the places of the cells that cannot be cast, by halving."""
    try:
        cast_column(column, name, kind, "")
    except DataInvalid:
        if len(column) == 1:
            yield start
            return
        middle = len(column) // 2
        yield from _find_misfits(column[:middle], name, kind, start)
        yield from _find_misfits(column[middle:], name, kind, start + middle)


def _describe_allowed(name: str, data: DataConfig) -> str:
    kind = data.columns[name]
    if kind == "timestamp":
        return describe_form(data.reading.of(name).time, data.reading)
    return ALLOWED[kind]


def make_frame(features: pa.Table, data: DataConfig) -> "pd.DataFrame":
    """Return sifted features as a frame, in the types that a gateway gives its model."""
    import pandas as pd

    return pd.DataFrame(
        {name: _make_values(features.column(name), data.columns[name]) for name in data.features}
    )


def _make_values(column: pa.ChunkedArray, kind: ColumnKind) -> Any:
    if kind in ("integer", "number"):
        return column.cast(pa.float64(), safe=False).to_numpy()
    if kind == "boolean":
        return column.to_pandas().astype(object)
    return column.to_pandas()

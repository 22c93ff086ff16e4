"""The Arrow schema of a service's table, and how cells and columns are cast to it."""

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import DataConfig
from sluice.config.reading import ISO, ReadingConfig
from sluice.data.batches.refusal import ReadRows, RefusedCell
from sluice.data.ids import check_ids, count_rows
from sluice.data.numbers import drop_null_words
from sluice.data.times import ReadTimes, localize_moment, localize_times, read_times
from sluice.errors import DataInvalid, SchemaDiffers

ARROW_TYPES: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
WIDER: dict[str, tuple[str, ...]] = {
    "integer": ("number", "text"),
    "boolean": ("integer", "number", "text"),
}
"""The kinds that hold each value of a kind, in one spelling: a number has several as text."""
ROWS_BEFORE = b"sluice.rows_before"
"""Metadata of a field: how many rows of the table are older than the column."""
NO_KINDS: Mapping[str, str] = {}
INDEX_NAME = re.compile(r"__index_level_\d+__|Unnamed: 0")
"""Names of an index that pandas wrote to Parquet, and of one that it read from a CSV file."""
SHOWN_CHARACTERS = 40
"""Longest part of a value that a message shows."""


def arrow_schema(config: DataConfig) -> pa.Schema:
    """Return the schema of the service's table, columns in the order of the configuration."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in config.columns.items()])


def list_widenings(kind: str) -> tuple[str, ...]:
    """Return the kinds to which a column of a kind can be widened without any loss."""
    return WIDER.get(kind, ())


def check_schema(table: pa.Table, config: DataConfig, source: str) -> pa.Table:
    """Cast a table to the service's schema without any loss, as `cast_rows` does.

    Raises:
        DataInvalid: as `cast_rows`; also where a single row would be refused.
    """
    found = cast_rows(table, config, source)
    if found.refused:
        raise DataInvalid(f"{source}: {found.refused[0].describe()}")
    return found.table


def cast_rows(table: pa.Table, config: DataConfig, source: str) -> ReadRows:
    """Cast a table to the service's schema; a row with a cell that is no time is refused alone.

    Columns are reordered, integers widened, whole floats become integers where the configuration
    has `integer`, dictionaries become text, NaN becomes null, decimals numbers, times of day and
    durations seconds, nanoseconds microseconds. Text becomes a time where the configuration has
    `timestamp`, never a number. Moments without a zone are in the configured one. Columns that are
    only an index are left out. `source` names the file in the error.

    Raises:
        DataInvalid: a column is missing, unknown or given twice, has another kind, or a value does
            not fit; a number is infinite; there are no rows, or none is left; an id is null or
            given twice.
    """
    table, notes = drop_index(table, config.columns)
    kinds = {field.name: _find_kind(field.type) for field in table.schema}
    check_columns(table.column_names, config, source, kinds)
    if table.num_rows == 0:
        raise DataInvalid(f"{source}: no rows, only column names")
    columns, bad = {}, {}
    for name, kind in config.columns.items():
        if kind == "timestamp":
            times = cast_times(table.column(name), name, config.reading, source)
            columns[name], bad[name] = times.moments, times.bad
        else:
            columns[name] = cast_column(table.column(name), name, kind, source)
    found = sift_rows(columns, bad, table, config, source)
    return replace(found, notes=notes)


def drop_index(table: pa.Table, kept: Collection[str] = ()) -> tuple[pa.Table, tuple[str, ...]]:
    """Return a table without columns that only hold an index, and a note on each of them.

    Such a column has the name that pandas gives to an index without one, or it has no name and is
    the first one or empty. `kept` are columns that stay.
    """
    places, notes = list[int](), list[str]()
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        nameless = not name and (place == 0 or column.null_count == len(column))
        if name not in kept and (nameless or INDEX_NAME.fullmatch(name)):
            words = f"'{name}' is an index" if name else f"{place + 1} has no name"
            notes.append(f"column {words}: left out")
        else:
            places.append(place)
    return (table.select(places) if notes else table), tuple(notes)


def sift_rows(
    columns: dict[str, pa.ChunkedArray],
    bad: Mapping[str, pa.ChunkedArray],
    found: pa.Table,
    config: DataConfig,
    source: str,
    find_places: Callable[[list[int]], list[str]] | None = None,
) -> ReadRows:
    """Return the rows without those that `bad` marks, and those as they were `found`.

    `find_places` names rows, counted from 0, in messages.

    Raises:
        DataInvalid: no row is left; an id is null or given twice.
    """
    table = pa.table(columns, schema=arrow_schema(config))
    name_rows = find_places or count_rows
    marked = {name: mask for name, mask in bad.items() if pc.any(mask).as_py()}
    if not marked:
        check_ids(table.column(config.id), config.id, source, name_rows)
        return ReadRows(table)
    refused = reduce(pc.or_, marked.values())
    rows = pc.indices_nonzero(refused).to_pylist()
    places = name_rows(rows)
    cells = []
    for row, place in zip(rows, places, strict=True):
        name = next(name for name, mask in marked.items() if mask[row].as_py())
        shown = str(found.column(name)[row].as_py())[:SHOWN_CHARACTERS]
        form = config.reading.of(name).time
        cells.append(RefusedCell(place, name, repr(shown), describe_form(form, config.reading)))
    if len(rows) == table.num_rows:
        raise DataInvalid(f"{source}: {cells[0].describe()}; so in all {len(rows):,} rows")
    kept = pc.indices_nonzero(pc.invert(refused)).to_pylist()
    table = table.filter(pc.invert(refused))
    check_ids(
        table.column(config.id),
        config.id,
        source,
        lambda rows: name_rows([kept[row] for row in rows]),
    )
    return ReadRows(table, tuple(cells), found.take(rows))


def describe_form(form: str, reading: ReadingConfig) -> str:
    """Return which times a column takes, for a message."""
    shown = "a time such as 2024-05-01 12:00:00" if form == ISO else f"a time of the form {form}"
    return f"{shown}, in {reading.zone} where it has no zone"


def conform_rows(table: pa.Table, config: DataConfig, source: str) -> pa.Table:
    """Cast rows that were kept under an older schema to the service's schema of today.

    A column that was added since is null, as in the older rows of the table.

    Raises:
        DataInvalid: a column is unknown today, the id or the target is missing, or a value does not
            fit.
    """
    missing = [name for name in config.columns if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in config.columns]
    if not unknown:
        for name in missing:
            if name not in (config.id, config.target, config.time):
                nulls = pa.nulls(table.num_rows, ARROW_TYPES[config.columns[name]])
                table = table.append_column(name, nulls)
    return check_schema(table, config, source)


def check_columns(
    found: list[str], config: DataConfig, source: str, kinds: Mapping[str, str] = NO_KINDS
) -> None:
    """Check that column names are the service's; `kinds` are those of the found ones, if known.

    Raises:
        DataInvalid: a name is missing, unknown or given twice; close names are suggested.
    """
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise DataInvalid(f"{source}: column '{twice[0]}' is given {found.count(twice[0])} times")
    missing = [name for name in config.columns if name not in found]
    extra = [name for name in found if name not in config.columns]
    complaints = [f"column '{name}' is missing{_suggest(name, extra)}" for name in missing]
    complaints += [f"column '{name}' is unknown{_suggest(name, missing)}" for name in extra]
    if complaints:
        allowed = ", ".join(config.columns)
        if len(missing) == len(config.columns):
            raise SchemaDiffers(
                f"{source}: found none of the service's columns, but {', '.join(found)}; "
                f"allowed columns: {allowed}; next: is it the data of another service, or a file "
                "without a header?"
            )
        raise SchemaDiffers(
            f"{source}: {'; '.join(complaints)}; allowed columns: {allowed}"
        ).give_way(*_propose_changes(missing, extra, kinds))


def cast_times(
    column: pa.ChunkedArray, name: str, reading: ReadingConfig, source: str
) -> ReadTimes:
    """Cast a column of timestamps, dates or text to moments; what is no time is marked.

    Raises:
        DataInvalid: the stored type has another meaning.
    """
    column = _simplify(column, "timestamp")
    if is_text(column.type):
        cells = drop_null_words(column.cast(pa.string()), reading.nulls)
        return read_times(cells, reading.of(name).time, reading.zone)
    if pa.types.is_null(column.type):
        column = column.cast(ARROW_TYPES["timestamp"])
    if not _fits(column.type, "timestamp"):
        found = _describe_type(column)
        raise DataInvalid(f"{source}: column '{name}': found {found}, allowed: timestamp")
    return localize_times(column, reading.zone)


def cast_column(column: pa.ChunkedArray, name: str, kind: str, source: str) -> pa.ChunkedArray:
    """Cast one column to its kind's Arrow type, exactly.

    Raises:
        DataInvalid: the stored type has another meaning, or a value would change.
    """
    column = _simplify(column, kind)
    if not _fits(column.type, kind):
        found = _describe_type(column)
        raise SchemaDiffers(f"{source}: column '{name}': found {found}, allowed: {kind}").give_way(
            *_propose_widening(name, kind, _find_kind(column.type))
        )
    if pa.types.is_floating(column.type):
        column = _check_finite(column, name, source)
    try:
        return column.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        row = find_misfit(column, ARROW_TYPES[kind])
        value = column[row].as_py()
        raise SchemaDiffers(
            f"{source}: row {row + 1}: column '{name}': found {value!r}, allowed: {kind}"
        ).give_way(*_propose_widening(name, kind, _find_kind(column.type))) from error


def _simplify(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Return a column in the simplest type of the same meaning for its kind."""
    types = pa.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_float16(column.type):
        return column.cast(pa.float64())
    if kind == "number" and (types.is_time(column.type) or types.is_duration(column.type)):
        return _count_seconds(column)
    if kind == "text" and holds_long_integers(column.type):
        return column.cast(pa.string())
    return column


def _count_seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times of day, or durations, in seconds."""
    units = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
    whole = pa.int32() if pa.types.is_time32(column.type) else pa.int64()
    return pc.divide(column.cast(whole).cast(pa.float64(), safe=False), units[column.type.unit])


def is_text(found: pa.DataType) -> bool:
    """Return whether a stored type is text."""
    types = pa.types
    return bool(
        types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    )


def holds_long_integers(found: pa.DataType) -> bool:
    """Return whether a type's whole numbers can have more than 64 bits: then they are names."""
    whole = pa.types.is_decimal(found) and found.scale <= 0
    return bool(whole or pa.types.is_uint64(found))


def find_misfit(column: pa.ChunkedArray, target: pa.DataType) -> int:
    """Return the index of the first value that cannot be cast exactly, by bisection.

    Raises:
        ValueError: every value can be cast.
    """
    if _can_cast(column, target):
        raise ValueError("every value can be cast")
    low, high = 0, len(column)  # the first misfit lies in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _can_cast(column[low:middle], target) else (low, middle)
    return low


def _fits(found: pa.DataType, kind: str) -> bool:
    types = pa.types
    numeric = types.is_integer(found) or types.is_floating(found) or types.is_decimal(found)
    fitting = {
        "integer": numeric,
        "number": numeric,
        "text": is_text(found),
        "boolean": types.is_boolean(found),
        "timestamp": types.is_timestamp(found) or types.is_date(found),
    }
    return bool(types.is_null(found) or fitting[kind])


def _check_finite(column: pa.ChunkedArray, name: str, source: str) -> pa.ChunkedArray:
    infinite = pc.is_inf(column)
    if pc.any(infinite).as_py():
        row, rows = pc.index(infinite, True).as_py(), pc.sum(infinite).as_py()
        more = f" (and in {rows - 1:,} rows more)" if rows > 1 else ""
        raise DataInvalid(
            f"{source}: row {row + 1}: column '{name}': found {column[row].as_py()}{more}, "
            "allowed: finite numbers and nulls; next: make those cells null"
        )
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _can_cast(column: pa.ChunkedArray, target: pa.DataType) -> bool:
    try:
        column.cast(target)
    except pa.ArrowInvalid:
        return False
    return True


def _describe_type(column: pa.ChunkedArray) -> str:
    present = pc.drop_null(column)
    example: Any = present[0].as_py() if len(present) else None
    kind = "text" if isinstance(example, str) else str(column.type)
    shown = repr(str(example)[:SHOWN_CHARACTERS])
    return f"{kind} (such as {shown})" if example is not None else kind


def _propose_changes(missing: list[str], extra: list[str], kinds: Mapping[str, str]) -> list[str]:
    """Return the changes of the schema that would let these columns in, as they are typed."""
    missing, extra, proposed = list(missing), list(extra), []
    for name in list(missing):
        close = difflib.get_close_matches(name, extra, 1)
        close = close or (extra if len(missing) == len(extra) == 1 else [])
        if close:
            proposed.append(shlex.join(["rename", name, close[0]]))
            missing.remove(name)
            extra.remove(close[0])
    proposed += [shlex.join(filter(None, ["add", name, kinds.get(name)])) for name in extra]
    return proposed + [shlex.join(["drop", name]) for name in missing]


def _propose_widening(name: str, kind: str, found: str) -> list[str]:
    return [shlex.join(["widen", name, found])] if found in list_widenings(kind) else []


def _find_kind(found: pa.DataType) -> str:
    """Return the kind that a stored type stands for; empty where its values decide, or nothing."""
    types = pa.types
    if types.is_dictionary(found):
        found = found.value_type
    if holds_long_integers(found):
        return ""
    counted = types.is_time(found) or types.is_duration(found)
    if types.is_floating(found) or types.is_decimal(found) or counted:
        return "number"
    return next((kind for kind in ARROW_TYPES if _fits(found, kind)), "")


def _suggest(name: str, others: list[str]) -> str:
    close = difflib.get_close_matches(name, others, 1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def convert_times(
    values: Sequence[Any], reading: ReadingConfig, name: str
) -> tuple[ReadTimes, pa.Array]:
    """Return one column's cells as moments, those that are no time marked, and all as text.

    Text is read in the column's form, ISO 8601 unless configured; dates are midnight.
    """
    texts = [value if isinstance(value, str) else None for value in values]
    cells = drop_null_words(pa.chunked_array([pa.array(texts, pa.string())]), reading.nulls)
    read = read_times(cells, reading.of(name).time, reading.zone)
    moments, bad = read.moments.to_pylist(), read.bad.to_pylist()
    for row, value in enumerate(values):
        if value is None or isinstance(value, str) or _is_nan(value):
            continue
        try:
            moments[row] = _to_timestamp(value, reading.zone)
        except (ValueError, OverflowError):
            bad[row] = True
    kind = ARROW_TYPES["timestamp"]
    found = ReadTimes(pa.chunked_array([pa.array(moments, kind)]), pa.chunked_array([bad]))
    shown = [None if value is None else str(value) for value in values] if any(bad) else []
    return found, pa.array(shown, pa.string())


def convert_cells(
    values: Sequence[Any],
    name: str,
    kind: str,
    source: str,
    start: int = 0,
) -> pa.Array:
    """Return one column's cells in the Arrow type of their kind; NULL and NaN are null.

    Whole decimals become integers, any decimal a number, 0 and 1 booleans, dates midnight in UTC.
    Times without a zone, and ISO 8601 text (SQLite has no other), are read as UTC. Text never
    becomes a number. `start` is the row number of the first cell, from 0.

    Raises:
        DataInvalid: a cell has another meaning; the message names row, column, value and kind.
    """
    convert = CONVERSIONS[kind]
    cells = []
    for row, value in enumerate(values, start + 1):
        try:
            cells.append(None if value is None or _is_nan(value) else convert(value))
        except (ValueError, OverflowError, ArithmeticError) as error:
            shown = repr(value)[:SHOWN_CHARACTERS]
            found = "number" if isinstance(value, float | Decimal) else ""
            raise SchemaDiffers(
                f"{source}: row {row}: column '{name}': found {shown} "
                f"({type(value).__name__}), allowed: {kind}"
            ).give_way(*_propose_widening(name, kind, found)) from error
    return pa.array(cells, ARROW_TYPES[kind])


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | Decimal) and value != value  # noqa: PLR0124 - only NaN is


def _to_integer(value: Any) -> int:
    """Return a value as a whole number of 64 bits.

    Raises:
        ValueError: it is not one.
    """
    whole = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not whole or value != int(value) or not -(2**63) <= value < 2**63:
        raise ValueError("no whole number of 64 bits")
    return int(value)


def _to_number(value: Any) -> float:
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise ValueError("no number")
    number = float(value)
    if number in (float("inf"), float("-inf")):
        raise ValueError("not finite")
    return number


def _to_text(value: Any) -> str:
    if not isinstance(value, str | UUID):
        raise ValueError("no text")
    return str(value)


def _to_boolean(value: Any) -> bool:
    if isinstance(value, int | bool) and value in (0, 1):
        return bool(value)
    raise ValueError("neither true nor false")


def _to_timestamp(value: Any, zone: str = "UTC") -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("no time")
    return localize_moment(value, zone)


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "integer": _to_integer,
    "number": _to_number,
    "text": _to_text,
    "boolean": _to_boolean,
    "timestamp": _to_timestamp,
}

"""The Arrow schema of a service's table, and how cells and columns are cast to it."""

import difflib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import DataConfig
from sluice.errors import DataInvalid

ARROW_TYPES: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
SHOWN_CHARACTERS = 40
"""Longest part of a value that a message shows."""


def arrow_schema(config: DataConfig) -> pa.Schema:
    """Return the schema of the service's table, columns in the order of the configuration."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in config.columns.items()])


def check_schema(table: pa.Table, config: DataConfig, source: str) -> pa.Table:
    """Cast a table to the service's schema without any loss.

    Columns are reordered, integers widened, whole floats become integers where the configuration
    has `integer`, dictionaries become text, NaN becomes null. Text never becomes a number. `source`
    names the file in the error.

    Raises:
        DataInvalid: a column is missing, unknown or given twice, has another kind, or a value does
            not fit; a number is infinite; there are no rows; an id is null or given twice.
    """
    check_columns(table.column_names, config, source)
    if table.num_rows == 0:
        raise DataInvalid(f"{source}: no rows, only column names")
    columns = {
        name: cast_column(table.column(name), name, kind, source)
        for name, kind in config.columns.items()
    }
    canonical = pa.table(columns, schema=arrow_schema(config))
    check_ids(canonical.column(config.id), config.id, source)
    return canonical


def check_columns(found: list[str], config: DataConfig, source: str) -> None:
    """Check that column names are the service's.

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
        raise DataInvalid(f"{source}: {'; '.join(complaints)}; allowed columns: {allowed}")


def cast_column(column: pa.ChunkedArray, name: str, kind: str, source: str) -> pa.ChunkedArray:
    """Cast one column to its kind's Arrow type, exactly.

    Raises:
        DataInvalid: the stored type has another meaning, or a value would change.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _fits(column.type, kind):
        found = _describe_type(column)
        raise DataInvalid(f"{source}: column '{name}': found {found}, allowed: {kind}")
    if pa.types.is_floating(column.type):
        column = _check_finite(column, name, source)
    try:
        return column.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        row = find_misfit(column, ARROW_TYPES[kind])
        value = column[row].as_py()
        raise DataInvalid(
            f"{source}: row {row + 1}: column '{name}': found {value!r}, allowed: {kind}"
        ) from error


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


def check_ids(column: pa.ChunkedArray, name: str, source: str) -> None:
    """Check that no id is null or given twice.

    Raises:
        DataInvalid: an id is; the message has the number of rows and the first ids.
    """
    if column.null_count:
        raise DataInvalid(f"{source}: column '{name}': {column.null_count:,} rows have no id")
    counts = pc.value_counts(column)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        first = ", ".join(str(value) for value in twice[:3].to_pylist())
        raise DataInvalid(
            f"{source}: column '{name}': {len(twice):,} ids are given more than once "
            f"(first: {first}); allowed: each id once"
        )


def _fits(found: pa.DataType, kind: str) -> bool:
    types = pa.types
    fitting = {
        "integer": types.is_integer(found) or types.is_floating(found),
        "number": types.is_integer(found) or types.is_floating(found),
        "text": types.is_string(found)
        or types.is_large_string(found)
        or types.is_string_view(found),
        "boolean": types.is_boolean(found),
        "timestamp": types.is_timestamp(found) or types.is_date(found),
    }
    return bool(types.is_null(found) or fitting[kind])


def _check_finite(column: pa.ChunkedArray, name: str, source: str) -> pa.ChunkedArray:
    infinite = pc.is_inf(column)
    if pc.any(infinite).as_py():
        row = pc.index(infinite, True).as_py()
        raise DataInvalid(
            f"{source}: row {row + 1}: column '{name}': found {column[row].as_py()}, "
            "allowed: finite numbers"
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


def _suggest(name: str, others: list[str]) -> str:
    close = difflib.get_close_matches(name, others, 1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def convert_cells(
    values: Sequence[Any], name: str, kind: str, source: str, start: int = 0
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
            raise DataInvalid(
                f"{source}: row {row}: column '{name}': found {shown} "
                f"({type(value).__name__}), allowed: {kind}"
            ) from error
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


def _to_timestamp(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise ValueError("no time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "integer": _to_integer,
    "number": _to_number,
    "text": _to_text,
    "boolean": _to_boolean,
    "timestamp": _to_timestamp,
}

"""Cells as a database's driver gives them, brought to the service's kinds or refused."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from sluice.data.schema import ARROW_TYPES
from sluice.errors import DataInvalid

SHOWN = 40
"""Longest part of a value that a message shows."""


def convert_cells(
    values: Sequence[Any], name: str, kind: str, source: str, start: int = 0
) -> pa.Array:
    """Give one column's cells as the Arrow type of their kind; NULL and NaN are null.

    Whole decimals become integers, any decimal a number, 0 and 1 booleans, dates midnight in UTC;
    times without a zone, and ISO 8601 text (SQLite has no other), are taken as UTC. Text never
    becomes a number. `start` is the row number of the first cell, from 0.

    Raises:
        DataInvalid: a cell has another meaning, naming row, column, value and what is allowed.
    """
    convert = CONVERSIONS[kind]
    cells = []
    for row, value in enumerate(values, start + 1):
        try:
            cells.append(None if value is None or _is_nan(value) else convert(value))
        except (ValueError, OverflowError, ArithmeticError) as error:
            shown = repr(value)[:SHOWN]
            raise DataInvalid(
                f"{source}: row {row}: column '{name}': found {shown} "
                f"({type(value).__name__}), allowed: {kind}"
            ) from error
    return pa.array(cells, ARROW_TYPES[kind])


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | Decimal) and value != value  # noqa: PLR0124 - only NaN is


def _to_integer(value: Any) -> int:
    """Give a whole number of 64 bits.

    Raises:
        ValueError: it is none.
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

"""Preprocessing of a few records: row by row in plain Python, with one array at the end.

`Preprocessing.encode` works column by column, which costs a single row one array per column.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.models.export.preprocessing import NumberColumn, Preprocessing, TextColumn

Read = Callable[[Any], float]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NAN = float("nan")


class _Codes(dict[str | None, float]):
    """A text column's codes, including the null's; any other text has the unknown code."""

    def __init__(self, column: TextColumn) -> None:
        super().__init__()
        self.update(column.codes)
        self[None] = column.null
        self._unknown = column.unknown

    def __missing__(self, _value: str | None) -> float:
        return self._unknown


class RowEncoder:
    """Computes the same numbers as a `Preprocessing`, from values already checked for kind."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.names = tuple(column.name for column in preprocessing.columns)
        """The columns in the order in which `encode` takes each row's values."""
        self._width = preprocessing.width
        self._readers = [_make_reader(column) for column in preprocessing.columns]
        self._widths = [_width_of(column) for column in preprocessing.columns]
        self._is_plain = not any(self._widths)

    def encode(self, rows: Iterable[Sequence[Any]]) -> NDArray[np.float64]:
        """Return shape (n, width) for rows of text, numbers, booleans, times or None.

        Raises:
            OverflowError: a whole number is beyond what a double can hold.
        """
        readers = self._readers
        read = [[reader(v) for reader, v in zip(readers, row, strict=True)] for row in rows]
        if not self._is_plain:
            read = [self._expand_row(row) for row in read]
        return np.array(read, dtype=np.float64).reshape(len(read), self._width)

    def _expand_row(self, values: list[float]) -> list[float]:
        """Return a row with its one-hot columns: 1 in the one that a code names, none for -1."""
        row: list[float] = []
        for value, width in zip(values, self._widths, strict=True):
            if not width:
                row.append(value)
                continue
            start = len(row)
            row += [0.0] * width
            if value >= 0:
                row[start + int(value)] = 1.0
        return row


def _width_of(column: TextColumn | NumberColumn) -> int:
    return column.width if isinstance(column, TextColumn) else 0


def _make_reader(column: TextColumn | NumberColumn) -> Read:
    """Return the function that reads one value of a column as a number."""
    if isinstance(column, TextColumn):
        return _Codes(column).__getitem__
    read = _count_seconds if column.kind == "timestamp" else _read_number
    fill, mean, scale = column.fill, column.mean, column.scale
    if np.isnan(fill):
        return read

    def scale_value(value: Any) -> float:
        number = read(value)
        return ((fill if isnan(number) else number) - mean) / scale

    return scale_value


def _read_number(value: float | None) -> float:
    return NAN if value is None else float(value)


def _count_seconds(value: datetime | None) -> float:
    """Return seconds since 1970, to the microsecond; a time without a zone is UTC."""
    if value is None:
        return NAN
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return ((aware - EPOCH) // MICROSECOND) / 1e6

"""Preprocessing of a few records: row by row in plain Python, with one array at the end.

`Preprocessing.encode` works column by column, which costs a single row one array per column.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sluice.models.export.preprocessing import Column, NumberColumn, Preprocessing, TextColumn
from sluice.models.export.wide_columns import DateColumn, MeanColumn, WordsColumn

Read = Callable[[Any], float]
Expand = Callable[..., Sequence[float]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NAN = float("nan")


class _Codes(dict[str | None, Any]):
    """What stands for each text of a column, and for a null; any other text has `unknown`."""

    def __init__(self, column: TextColumn, make: Callable[[float], Any]) -> None:
        super().__init__()
        self.update({value: make(code) for value, code in column.codes.items()})
        self[None] = make(column.null)
        self._unknown = make(column.unknown)

    def __missing__(self, _value: str | None) -> Any:
        return self._unknown


class RowEncoder:
    """Computes the same numbers as a `Preprocessing`, from values already checked for kind."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        columns = preprocessing.columns
        self.names = tuple(name for column in columns for name in column.inputs)
        """The columns in the order in which `encode` takes each row's values; one that two columns
        read comes twice."""
        self._width = preprocessing.width
        plain = [column for column in columns if _is_plain(column)]
        self._is_plain = len(plain) == len(columns)
        self._readers = [_make_reader(column) for column in plain] if self._is_plain else []
        self._expanders = [(len(column.inputs), _make_expander(column)) for column in columns]

    def encode(self, rows: Iterable[Sequence[Any]]) -> NDArray[np.float64]:
        """Return shape (n, width) for rows of text, numbers, booleans, times or None.

        Raises:
            OverflowError: a whole number is beyond what a double can hold.
        """
        readers = self._readers
        if self._is_plain:
            read = [[reader(v) for reader, v in zip(readers, row, strict=True)] for row in rows]
        else:
            read = [self._expand_row(row) for row in rows]
        return np.array(read, dtype=np.float64).reshape(len(read), self._width)

    def _expand_row(self, values: Sequence[Any]) -> list[float]:
        """Return a row's numbers, where some columns become several."""
        row: list[float] = []
        start = 0
        for inputs, expand in self._expanders:
            row += expand(*values[start : start + inputs])
            start += inputs
        return row


def _is_plain(column: Column) -> TypeGuard[TextColumn | NumberColumn]:
    """Whether a column becomes one number by one function of its value."""
    if isinstance(column, TextColumn):
        return not column.width
    return isinstance(column, NumberColumn)


def _make_expander(column: Column) -> Expand:
    """Return the function that reads the values of a column as numbers."""
    if isinstance(column, MeanColumn | WordsColumn | DateColumn):
        return column.encode_one
    if isinstance(column, TextColumn) and column.width:
        ones = np.eye(column.width).tolist()
        ones.append([0.0] * column.width)  # the code -1 names none
        return _Codes(column, lambda code: ones[int(code)]).__getitem__
    read = _make_reader(column)
    return lambda value: (read(value),)


def _make_reader(column: TextColumn | NumberColumn) -> Read:
    """Return the function that reads one value of a column as a number."""
    if isinstance(column, TextColumn):
        return _Codes(column, float).__getitem__
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

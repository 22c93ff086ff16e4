"""Preprocessing of an ONNX export: from raw columns to float64 numbers, with NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind
from sluice.errors import DataInvalid
from sluice.models.export.wide_columns import DateColumn, MeanColumn, WordsColumn, count_seconds

Rows = Mapping[str, Sequence[Any] | NDArray[Any]]
"""Raw columns by name, all of one length; None and NaN are nulls."""


@dataclass(frozen=True)
class TextColumn:
    """A text column's codes; NaN is a code as well.

    `width` is 0 where the code itself is the number; else it is the number of one-hot columns, of
    which the code names the one that is 1. A code of -1 names none.
    """

    name: str
    codes: Mapping[str, float]
    unknown: float
    null: float
    width: int = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that it reads."""
        return (self.name,)

    @property
    def outputs(self) -> int:
        """The number of prepared columns."""
        return self.width or 1

    @property
    def levels(self) -> int:
        """The number of codes."""
        return (
            int(max((code for code in self.codes.values() if not np.isnan(code)), default=-1)) + 1
        )

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
        """Return the numbers of a column, shape (n, 1), or (n, width) where it is one-hot."""
        codes, unknown, null = self.codes, self.unknown, self.null
        found = [codes.get(value, unknown) if isinstance(value, str) else null for value in values]
        numbers = np.array(found, dtype=np.float64)
        if not self.width:
            return numbers[:, np.newaxis]
        one_hot = numbers[:, np.newaxis] == np.arange(self.width)
        return np.asarray(one_hot, dtype=np.float64)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, booleans or timestamps: filled in, minus `mean`, divided by `scale`.

    Where `fill` is NaN, nulls stay as they are and nothing is scaled.
    """

    name: str
    kind: ColumnKind
    fill: float = float("nan")
    mean: float = 0.0
    scale: float = 1.0

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that it reads."""
        return (self.name,)

    @property
    def outputs(self) -> int:
        """The number of prepared columns."""
        return 1

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
        """Return the numbers of a column, shape (n, 1).

        Raises:
            DataInvalid: a value is infinite, or not of the column's kind.
        """
        numbers = self._read(values)
        if np.isinf(numbers).any():
            raise DataInvalid(
                f"feature '{self.name}' is infinite; allowed: finite numbers and nulls"
            )
        if not np.isnan(self.fill):
            numbers = np.where(np.isnan(numbers), self.fill, numbers)
            numbers = (numbers - self.mean) / self.scale
        return numbers[:, np.newaxis]

    def _read(self, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
        try:
            if self.kind == "timestamp":
                return count_seconds(values)
            return np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataInvalid(
                f"feature '{self.name}' has values other than {self.kind} and nulls"
            ) from error


Column = TextColumn | NumberColumn | MeanColumn | WordsColumn | DateColumn
WIDE: dict[str, type[MeanColumn | WordsColumn | DateColumn]] = {
    "mean": MeanColumn,
    "words": WordsColumn,
    "date": DateColumn,
}
"""Columns that become several numbers, by their kind in a file."""


@dataclass(frozen=True)
class Preprocessing:
    """The preparation of raw rows, column by column, in the order that the estimator reads."""

    columns: tuple[Column, ...] = field(default=())

    @property
    def width(self) -> int:
        """The number of prepared columns."""
        return sum(column.outputs for column in self.columns)

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of codes of each text column that is not one-hot."""
        texts = [column for column in self.columns if isinstance(column, TextColumn)]
        return tuple(column.levels for column in texts if not column.width)

    def encode(self, rows: Rows) -> NDArray[np.float64]:
        """Return the prepared rows as an array of shape (n, width).

        Raises:
            DataInvalid: a column is absent, infinite, or not of its kind.
        """
        absent = [name for column in self.columns for name in column.inputs if name not in rows]
        if absent:
            found = ", ".join(rows)
            raise DataInvalid(f"the rows lack feature column '{absent[0]}'; found: {found}")
        parts = [column.encode(*(rows[name] for name in column.inputs)) for column in self.columns]
        return np.concatenate(parts, axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the preprocessing as JSON-ready values; NaN becomes null."""
        return {"columns": [_write_column(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Return the preprocessing that `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
        """
        return cls(tuple(_read_column(item) for item in values["columns"]))


def _write_column(column: Column) -> dict[str, Any]:
    if isinstance(column, NumberColumn):
        fill = _write_number(column.fill)
        return {**vars(column), "fill": fill}
    if not isinstance(column, TextColumn):
        return column.to_dict()
    codes = {value: _write_number(code) for value, code in column.codes.items()}
    return {
        "name": column.name,
        "kind": "text",
        "codes": codes,
        "unknown": _write_number(column.unknown),
        "null": _write_number(column.null),
        "width": column.width,
    }


def _read_column(values: Mapping[str, Any]) -> Column:
    if values["kind"] in WIDE:
        return WIDE[values["kind"]].from_dict(values)
    if values["kind"] != "text":
        return NumberColumn(**{**values, "fill": _read_number(values["fill"])})
    codes = {value: _read_number(code) for value, code in values["codes"].items()}
    unknown, null = _read_number(values["unknown"]), _read_number(values["null"])
    return TextColumn(values["name"], codes, unknown, null, int(values["width"]))


def _write_number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _read_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)

"""From raw columns to prepared numbers in float64, from parameters alone: no pandas, no sklearn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind
from sluice.errors import DataInvalid

Rows = Mapping[str, Sequence[Any] | NDArray[Any]]
"""Raw columns by name, all of one length; None and NaN are nulls."""


@dataclass(frozen=True)
class TextColumn:
    """A text column's codes; NaN is a code as well.

    Its `width` is 0 where the code itself is the number, else the count of columns of which the
    code names the one that is 1; a code of -1 names none.
    """

    name: str
    codes: Mapping[str, float]
    unknown: float
    null: float
    width: int = 0

    @property
    def levels(self) -> int:
        """How many codes there are."""
        return (
            int(max((code for code in self.codes.values() if not np.isnan(code)), default=-1)) + 1
        )

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
        """Give shape (n, 1), or (n, width)."""
        codes, unknown, null = self.codes, self.unknown, self.null
        found = [codes.get(value, unknown) if isinstance(value, str) else null for value in values]
        numbers = np.array(found, dtype=np.float64)
        if not self.width:
            return numbers[:, np.newaxis]
        spread = numbers[:, np.newaxis] == np.arange(self.width)
        return np.asarray(spread, dtype=np.float64)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, booleans or timestamps: filled in, less `mean`, divided by `scale`.

    A NaN in `fill` leaves nulls as they are, and nothing is scaled.
    """

    name: str
    kind: ColumnKind
    fill: float = float("nan")
    mean: float = 0.0
    scale: float = 1.0

    def encode(self, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
        """Give shape (n, 1).

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
                return _count_seconds(values)
            return np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataInvalid(
                f"feature '{self.name}' holds something else than {self.kind} and nulls"
            ) from error


@dataclass(frozen=True)
class Preprocessing:
    """What prepares raw rows, column by column, in the order that the estimator reads."""

    columns: tuple[TextColumn | NumberColumn, ...] = field(default=())

    @property
    def width(self) -> int:
        """How many numbers a row becomes."""
        return sum(
            column.width or 1 if isinstance(column, TextColumn) else 1 for column in self.columns
        )

    @property
    def levels(self) -> tuple[int, ...]:
        """How many codes each text column has that is not spread over several columns."""
        texts = [column for column in self.columns if isinstance(column, TextColumn)]
        return tuple(column.levels for column in texts if not column.width)

    def encode(self, rows: Rows) -> NDArray[np.float64]:
        """Give an array of shape (n, width).

        Raises:
            DataInvalid: a column is absent, infinite, or not of its kind.
        """
        absent = [column.name for column in self.columns if column.name not in rows]
        if absent:
            found = ", ".join(rows)
            raise DataInvalid(f"the rows lack feature column '{absent[0]}'; found: {found}")
        return np.concatenate([column.encode(rows[column.name]) for column in self.columns], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Give JSON-ready values; NaN becomes null."""
        return {"columns": [_write_column(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Rebuild from what `to_dict` gave.

        Raises:
            KeyError: a field is missing.
        """
        return cls(tuple(_read_column(item) for item in values["columns"]))


def _write_column(column: TextColumn | NumberColumn) -> dict[str, Any]:
    if isinstance(column, NumberColumn):
        fill = _write_number(column.fill)
        return {**vars(column), "fill": fill}
    codes = {value: _write_number(code) for value, code in column.codes.items()}
    return {
        "name": column.name,
        "kind": "text",
        "codes": codes,
        "unknown": _write_number(column.unknown),
        "null": _write_number(column.null),
        "width": column.width,
    }


def _read_column(values: Mapping[str, Any]) -> TextColumn | NumberColumn:
    if values["kind"] != "text":
        return NumberColumn(**{**values, "fill": _read_number(values["fill"])})
    codes = {value: _read_number(code) for value, code in values["codes"].items()}
    unknown, null = _read_number(values["unknown"]), _read_number(values["null"])
    return TextColumn(values["name"], codes, unknown, null, int(values["width"]))


def _write_number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _read_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _count_seconds(values: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Give seconds since 1970 (UTC) to the microsecond; a moment without a zone is UTC."""
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "M"):
        naive = [_drop_zone(value) for value in values]
        values = np.array(naive, dtype="datetime64[us]")
    moments = values.astype("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)


def _drop_zone(moment: Any) -> Any:
    """Give a moment in UTC without saying so; None for every kind of null."""
    if moment is None or type(moment).__name__ == "NaTType" or isinstance(moment, float):
        return None
    if getattr(moment, "tzinfo", None) is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)

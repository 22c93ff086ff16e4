"""Preprocessing of an ONNX export: from raw columns to float64 numbers, with NumPy only."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import ColumnKind, DataConfig
from sluice.errors import DataInvalid
from sluice.models.features import list_features

Rows = Mapping[str, Sequence[Any] | NDArray[Any]]
"""Raw columns by name, all of one length; None and NaN are nulls."""
NUMERIC: dict[str, tuple[ColumnKind, ...]] = {
    "number": ("integer", "number"),
    "boolean": ("boolean",),
    "timestamp": ("timestamp",),
}
"""Steps of a column transformer that make numbers, and the kinds of their columns."""


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
                return _count_seconds(values)
            return np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataInvalid(
                f"feature '{self.name}' has values other than {self.kind} and nulls"
            ) from error


@dataclass(frozen=True)
class Preprocessing:
    """The preparation of raw rows, column by column, in the order that the estimator reads."""

    columns: tuple[TextColumn | NumberColumn, ...] = field(default=())

    @property
    def width(self) -> int:
        """The number of prepared columns."""
        return sum(
            column.width or 1 if isinstance(column, TextColumn) else 1 for column in self.columns
        )

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
        absent = [column.name for column in self.columns if column.name not in rows]
        if absent:
            found = ", ".join(rows)
            raise DataInvalid(f"the rows lack feature column '{absent[0]}'; found: {found}")
        return np.concatenate([column.encode(rows[column.name]) for column in self.columns], axis=1)

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
    """Return seconds since 1970 (UTC), to the microsecond; a time without a zone is UTC."""
    if not (isinstance(values, np.ndarray) and values.dtype.kind == "M"):
        naive = [_drop_zone(value) for value in values]
        values = np.array(naive, dtype="datetime64[us]")
    moments = values.astype("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)


def _drop_zone(moment: Any) -> Any:
    """Return a time in UTC without its zone; None for every kind of null."""
    if moment is None or type(moment).__name__ == "NaTType" or isinstance(moment, float):
        return None
    if getattr(moment, "tzinfo", None) is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def read_preprocessing(features: Any, data: DataConfig) -> Preprocessing:
    """Return the parameters of a fitted column transformer, of tree or linear models.

    Text codes are the transformer's own output for every value that it knows, for one that it does
    not know, and for a null.
    """
    columns: list[TextColumn | NumberColumn] = []
    for name, transformer, names in features.transformers_:
        if name == "text":
            columns += _read_texts(transformer, list(names))
        elif name in NUMERIC:
            named = {kind: list_features(data, kind) for kind in NUMERIC[name]}
            kinds = {column: kind for kind, group in named.items() for column in group}
            columns += _read_numbers(transformer, list(names), kinds)
    return Preprocessing(tuple(columns))


def _read_numbers(
    transformer: Any, names: list[str], kinds: dict[str, ColumnKind]
) -> list[NumberColumn]:
    imputer, scaler = (
        _find_step(transformer, "SimpleImputer"),
        _find_step(transformer, "StandardScaler"),
    )
    if imputer is None or scaler is None:
        return [NumberColumn(name, kinds[name]) for name in names]
    figures = zip(imputer.statistics_, scaler.mean_, scaler.scale_, strict=True)
    return [
        NumberColumn(name, kinds[name], float(fill), float(mean), float(scale))
        for name, (fill, mean, scale) in zip(names, figures, strict=True)
    ]


def _find_step(transformer: Any, kind: str) -> Any:
    """Find a step of a pipeline, or of a pipeline in it, by its class; None where there is none."""
    for _, step in getattr(transformer, "steps", ()):
        found = step if type(step).__name__ == kind else _find_step(step, kind)
        if found is not None:
            return found
    return None


def _read_texts(encoder: Any, names: list[str]) -> list[TextColumn]:
    """Return the text columns: the encoder's output for each value of each column in turn."""
    known = [[value for value in found if isinstance(value, str)] for found in encoder.categories_]
    columns, start = [], 0
    for at, name in enumerate(names):
        values = [*known[at], _make_unknown(known[at]), _find_null(encoder.categories_[at])]
        numbers = _transform(encoder, names, at, values)
        one_hot = type(encoder).__name__ == "OneHotEncoder"
        width = _count_outputs(encoder, at, names) if one_hot else 0
        block = numbers[:, start : start + (width or 1)]
        start += width or 1
        codes = _find_ones(block) if one_hot else block[:, 0]
        found = dict(zip(known[at], codes[:-2].tolist(), strict=True))
        columns.append(TextColumn(name, found, float(codes[-2]), float(codes[-1]), width))
    return columns


def _transform(encoder: Any, names: list[str], at: int, values: list[Any]) -> NDArray[np.float64]:
    """Return the encoder's output for the values of one column; the others hold any value."""
    import pandas as pd

    fillers = {name: encoder.categories_[i][0] for i, name in enumerate(names)}
    frame = pd.DataFrame(
        {
            name: pd.Series(values if i == at else [fillers[name]] * len(values), dtype=object)
            for i, name in enumerate(names)
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the unknown value
        found = encoder.transform(frame)
    dense = found.toarray() if hasattr(found, "toarray") else found
    numbers: NDArray[np.float64] = np.asarray(dense, dtype=np.float64)
    return numbers


def _count_outputs(encoder: Any, at: int, names: list[str]) -> int:
    rare = encoder.infrequent_categories_[at]
    merged = len(rare) - 1 if rare is not None else 0
    return len(encoder.categories_[at]) - merged


def _find_ones(block: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(block.any(axis=1), block.argmax(axis=1), -1).astype(np.float64)


def _make_unknown(known: list[str]) -> str:
    """Return a text that is none of the known ones."""
    return max(known, key=len, default="") + "?"


def _find_null(categories: NDArray[Any]) -> Any:
    """Return the null value of the training rows; NaN where they had none."""
    return next((value for value in categories if not isinstance(value, str)), float("nan"))

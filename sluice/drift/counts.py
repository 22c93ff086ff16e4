"""Counts of rows in a reference's bins: built in one streamed pass, and merged exactly.

Counts of two parts, merged, are those of the whole, to the last row, in any order. Their size does
not depend on the number of rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.drift.bins import Bins, LevelBins, NumberBins
from sluice.errors import DataInvalid

NEW_LEVELS = 1_000
"""Most new levels of a column that are kept by name: up to here, all of them."""
HASHES = 2.0**64


class Rows(Protocol):
    """Rows that are read one column at a time: a table, or a part of a file."""

    @property
    def names(self) -> Collection[str]:
        """The names of the columns."""
        ...

    @property
    def count(self) -> int:
        """The number of rows."""
        ...

    def read(self, name: str) -> pa.ChunkedArray:
        """Return the cells of one column."""
        ...


@dataclass(frozen=True)
class TableRows:
    """The rows of a table in memory."""

    table: pa.Table

    @property
    def names(self) -> Collection[str]:
        """The names of the columns."""
        names: list[str] = self.table.column_names
        return names

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def read(self, name: str) -> pa.ChunkedArray:
        """Return the cells of one column."""
        return self.table.column(name)


@dataclass(frozen=True)
class NewLevels:
    """Levels that the reference lacks: rows of each, of at most 1,000 levels.

    Where there are more, those with the smallest hashes are kept, which is a random sample of
    levels that does not depend on the order of rows (bottom-k sketch, Cohen, Kaplan 2007). Their
    rows are counted exactly either way.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    is_sample: bool = False

    def merge(self, other: "NewLevels") -> "NewLevels":
        """Return the new levels of both parts together."""
        merged = dict(self.rows)
        for name, count in other.rows.items():
            merged[name] = merged.get(name, 0) + count
        return sample_levels(merged, self.is_sample or other.is_sample)

    def estimate_number(self) -> int:
        """Return how many different new levels there are; beyond 1,000 within some 3 %."""
        if not self.is_sample:
            return len(self.rows)
        largest = max(hash_names(list(self.rows)))
        return round((len(self.rows) - 1) / ((int(largest) + 1) / HASHES))


def sample_levels(rows: Mapping[str, int], is_sample: bool = False) -> NewLevels:
    """Return new levels, at most 1,000 of them by name."""
    names = list(rows)
    if len(names) <= NEW_LEVELS:
        return NewLevels({name: int(rows[name]) for name in sorted(names)}, is_sample)
    hashes = hash_names(names)
    # Equal hashes are told apart by name, so that every order of rows keeps the same levels.
    order = np.argsort(hashes, kind="stable")
    limit = hashes[order[NEW_LEVELS - 1]]
    chosen = [names[at] for at in np.flatnonzero(hashes < limit).tolist()]
    ties = sorted(names[at] for at in np.flatnonzero(hashes == limit).tolist())
    kept = sorted([*chosen, *ties[: NEW_LEVELS - len(chosen)]])
    return NewLevels({name: int(rows[name]) for name in kept}, True)


def hash_names(names: list[str]) -> NDArray[np.uint64]:
    """Return the 64-bit hashes of names, shape (n,), the same on every machine."""
    import xxhash

    drawn = (xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) for name in names)
    return np.fromiter(drawn, dtype=np.uint64, count=len(names))


@dataclass(frozen=True, eq=False)
class ColumnCounts:
    """The rows of one watched column in its bins' cells.

    `cells` has shape (cells,). `unreadable` are rows of a type that is not the column's, `found`
    that type. All rows are in the cells, null or unreadable.
    """

    cells: NDArray[np.int64]
    nulls: int = 0
    unreadable: int = 0
    found: str = ""
    new: NewLevels = field(default_factory=NewLevels)

    @property
    def filled(self) -> int:
        """The number of rows with a value."""
        return int(self.cells.sum())

    @property
    def rows(self) -> int:
        """The number of rows with a value or null."""
        return self.filled + self.nulls

    def merge(self, other: "ColumnCounts") -> "ColumnCounts":
        """Return the counts of both parts together."""
        types = sorted({one for one in (*self.found.split("; "), *other.found.split("; ")) if one})
        return ColumnCounts(
            self.cells + other.cells,
            self.nulls + other.nulls,
            self.unreadable + other.unreadable,
            "; ".join(types),
            self.new.merge(other.new),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "cells": self.cells.tolist(),
            "nulls": self.nulls,
            **({"unreadable": self.unreadable, "found": self.found} if self.unreadable else {}),
            **({"new": dict(self.new.rows)} if self.new.rows else {}),
            **({"new_is_sample": True} if self.new.is_sample else {}),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], cells: int) -> "ColumnCounts":
        """Return the counts of plain values; `cells` is the number that the bins have.

        Raises:
            ValueError: another number of cells, or a count below 0.
        """
        counts = np.asarray(found["cells"], dtype=np.int64)
        if counts.shape != (cells,) or (counts < 0).any():
            raise ValueError(f"cells: found {counts.shape[0]}, allowed: {cells} counts from 0 up")
        return cls(
            counts,
            int(found["nulls"]),
            int(found.get("unreadable", 0)),
            str(found.get("found", "")),
            NewLevels(dict(found.get("new", {})), bool(found.get("new_is_sample", False))),
        )


def count_numbers(bins: NumberBins, values: NDArray[np.float64]) -> ColumnCounts:
    """Return the counts of numbers, shape (n,); NaN is null."""
    missing = np.isnan(values)
    nulls = int(missing.sum())
    return ColumnCounts(bins.count(values[~missing] if nulls else values), nulls)


def count_levels(
    bins: LevelBins, names: list[str], counts: NDArray[np.int64], nulls: int
) -> ColumnCounts:
    """Return the counts of levels, given as distinct names with their rows."""
    places = bins.place(names)
    cells = np.bincount(places, counts, minlength=bins.cells).astype(np.int64)
    if bins.rest:
        return ColumnCounts(cells, nulls)
    unknown = np.flatnonzero(places == len(bins.levels)).tolist()
    return ColumnCounts(
        cells, nulls, new=sample_levels({names[at]: int(counts[at]) for at in unknown})
    )


def count_none(bins: Bins) -> ColumnCounts:
    """Return the counts of no rows."""
    return ColumnCounts(np.zeros(bins.cells, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class WindowCounts:
    """The rows of a window in a reference's bins: overall, and by slice.

    `bins` names the reference whose bins they are. `columns` has the watched columns of the rows
    that had them: a column that some rows lack has fewer. `unknown` are the rows of each column
    that the reference does not know.
    """

    bins: str
    rows: int
    columns: Mapping[str, ColumnCounts]
    slices: Mapping[str, "WindowCounts"] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)

    def merge(self, other: "WindowCounts") -> "WindowCounts":
        """Return the counts of both parts together.

        Raises:
            DataInvalid: the other counts are in the bins of another reference.
        """
        if self.bins != other.bins:
            raise DataInvalid(
                f"counts in the bins of reference {self.bins} and of {other.bins} cannot be "
                "merged: count both in one reference's bins"
            )
        unknown = dict(self.unknown)
        for name, rows in other.unknown.items():
            unknown[name] = unknown.get(name, 0) + rows
        return WindowCounts(
            self.bins,
            self.rows + other.rows,
            _merge(self.columns, other.columns),
            _merge(self.slices, other.slices),
            unknown,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "bins": self.bins,
            "rows": self.rows,
            "columns": {name: one.to_dict() for name, one in sorted(self.columns.items())},
            "slices": {name: one.to_dict() for name, one in sorted(self.slices.items())},
            "unknown": dict(sorted(self.unknown.items())),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], bins: Mapping[str, Bins]) -> "WindowCounts":
        """Return the counts of plain values; `bins` are the reference's, by column.

        Raises:
            ValueError: a column has other cells than its bins, or a count below 0.
            KeyError: a value is missing, or a column has no bins.
        """
        columns = {
            name: ColumnCounts.from_dict(one, bins[name].cells)
            for name, one in found["columns"].items()
        }
        slices = {name: cls.from_dict(one, bins) for name, one in found["slices"].items()}
        unknown = {name: int(rows) for name, rows in found["unknown"].items()}
        return cls(str(found["bins"]), int(found["rows"]), columns, slices, unknown)


def _merge(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for name, one in right.items():
        merged[name] = merged[name].merge(one) if name in merged else one
    return merged

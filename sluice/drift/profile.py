"""The reference profile of a model version: what its data looked like, in a small document."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.drift.bins import (
    FEW,
    Bins,
    LevelBins,
    NumberBins,
    build_level_bins,
    build_number_bins,
)
from sluice.drift.columns import (
    ColumnUnreadable,
    Role,
    Watched,
    WatchedColumn,
    encode_levels,
    read_levels,
    read_numbers,
    sum_levels,
)
from sluice.drift.counts import (
    ColumnCounts,
    Rows,
    TableRows,
    WindowCounts,
    count_levels,
    count_none,
    count_numbers,
)
from sluice.drift.words import build_vocabulary
from sluice.errors import DataInvalid
from sluice.stats.holdout import MISSING

Mask = NDArray[np.bool_]
MOST_SLICES = 40
"""Most slices of a profile, the largest ones."""


@dataclass(frozen=True, eq=False)
class ReferenceColumn:
    """One watched column of a reference: its bins, and the reference rows in them.

    `vocabulary` has the reference's words, for the share of unknown words only.
    """

    watched: WatchedColumn
    bins: Bins
    counts: ColumnCounts
    vocabulary: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The watched column's name."""
        return self.watched.name

    @property
    def constant(self) -> str | None:
        """The only level of the reference; None where there are several."""
        if isinstance(self.bins, NumberBins) or self.bins.rest or len(self.bins.levels) != 1:
            return None
        return self.bins.levels[0]

    def prepare(self, rows: Rows) -> "_Numbers | _Levels":
        """Return the rows' values of the column, to be counted.

        Raises:
            ColumnUnreadable: the cells have another type.
        """
        cells = rows.read(self.watched.source)
        if isinstance(self.bins, LevelBins) and self.watched.form in ("level", "number"):
            return _Levels(self.bins, *encode_levels(cells))
        origin = self.watched.origin
        moments = rows.read(origin) if origin and origin in rows.names else None
        values = read_numbers(self.watched, cells, moments, self.vocabulary)
        return _prepare_numbers(self.bins, values)


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Numbers of rows, shape (n,); NaN is null."""

    bins: NumberBins
    values: NDArray[np.float64]

    def count(self, mask: Mask | None = None) -> ColumnCounts:
        return count_numbers(self.bins, self.values if mask is None else self.values[mask])


@dataclass(frozen=True, eq=False)
class _Levels:
    """Levels of rows as places among names, shape (n,); -1 is null."""

    bins: LevelBins
    codes: NDArray[np.int64]
    names: list[str]

    def count(self, mask: Mask | None = None) -> ColumnCounts:
        return count_levels(self.bins, *sum_levels(self.codes, self.names, mask))


def _prepare_numbers(bins: Bins, values: NDArray[np.float64]) -> _Numbers | _Levels:
    if isinstance(bins, NumberBins):
        return _Numbers(bins, values)
    return _Levels(bins, *encode_levels(pa.chunked_array([pa.array(values)])))


@dataclass(frozen=True, eq=False)
class ReferenceProfile:
    """The distributions of a model version's data, in which later rows are counted.

    `left_out` has the reason for each feature that is not watched. `importance` is each feature's
    permutation importance, 0 and above, where it was measured. `known` are all columns of the
    service: another column of live rows is new. `slices` are the columns whose values are slices,
    `parts` the reference rows of each. `sections` belong to other rooms and are kept as they are.
    """

    service: str
    data_version: int
    rows: int
    columns: Mapping[str, ReferenceColumn]
    left_out: Mapping[str, str] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    known: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    parts: Mapping[str, WindowCounts] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def bins(self) -> str:
        """The name of the bins: 16 hexadecimal digits of their sha256."""
        digest = hashlib.sha256()
        for name, one in sorted(self.columns.items()):
            digest.update(f"{name}\n{one.watched.form}\n".encode())
            digest.update(one.bins.identify())
        return digest.hexdigest()[:16]

    @property
    def reference(self) -> WindowCounts:
        """The reference rows as a window's counts."""
        counts = {name: one.counts for name, one in self.columns.items()}
        return WindowCounts(self.bins, self.rows, counts, self.parts)

    def count_rows(self, parts: Iterable[Rows | pa.Table]) -> WindowCounts:
        """Return the counts of rows that come in parts, each read once, one column at a time."""
        found = self.count_part(None)
        for part in parts:
            found = found.merge(self.count_part(part))
        return found

    def count_part(self, part: Rows | pa.Table | None) -> WindowCounts:
        """Return the counts of one part of the rows; of no rows where there is none."""
        if part is None:
            return WindowCounts(self.bins, 0, {})
        rows = TableRows(part) if isinstance(part, pa.Table) else part
        masks = self._find_slices(rows)
        found = {name: dict[str, ColumnCounts]() for name in ("", *masks)}
        for name, one in self.columns.items():
            if one.watched.can_be_read(rows.names):
                for slice_name, counts in _count_column(one, rows, masks).items():
                    found[slice_name][name] = counts
        sliced = {
            name: WindowCounts(self.bins, int(mask.sum()), found[name])
            for name, mask in masks.items()
        }
        watched = {one.watched.source for one in self.columns.values()}
        unknown = {name: rows.count for name in rows.names if name not in {*self.known, *watched}}
        return WindowCounts(self.bins, rows.count, found[""], sliced, unknown)

    def _find_slices(self, rows: Rows) -> dict[str, Mask]:
        found: dict[str, Mask] = {}
        for column in self.slices:
            if column in rows.names:
                found |= find_values(column, rows.read(column), self.parts)
        return found


def _count_column(
    one: ReferenceColumn, rows: Rows, masks: Mapping[str, Mask]
) -> dict[str, ColumnCounts]:
    """Return the counts of a column: overall (under no name), and of each slice."""
    try:
        prepared = one.prepare(rows)
    except ColumnUnreadable as error:
        none, sizes = count_none(one.bins), {name: int(mask.sum()) for name, mask in masks.items()}
        return {
            name: replace(none, unreadable=size, found=str(error))
            for name, size in {"": rows.count, **sizes}.items()
        }
    return {"": prepared.count(), **{name: prepared.count(mask) for name, mask in masks.items()}}


def find_values(
    column: str, cells: pa.ChunkedArray, wanted: Collection[str] | None, least: int = 1
) -> dict[str, Mask]:
    """Return the rows of each wanted value of a column, by `column=value`; None: of every value.

    Nulls are the value `(missing)`. Values with fewer than `least` rows are left out; a column that
    is no category has none.
    """
    try:
        codes, names = encode_levels(cells)
    except ColumnUnreadable:
        return {}
    counts = np.bincount(codes + 1, minlength=len(names) + 1)
    found = {}
    for place in np.flatnonzero(counts >= max(least, 1)).tolist():
        name = f"{column}={names[place - 1] if place else MISSING}"
        if wanted is None or name in wanted:
            found[name] = codes == place - 1
    return found


@dataclass(frozen=True)
class Description:
    """What a profile is about: names, and what is known beside the rows."""

    service: str
    data_version: int
    known: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    least_slice: int = 200
    importance: Mapping[str, float] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)


def build_profile(
    about: Description, watched: Watched, tables: Mapping[Role, Rows | pa.Table]
) -> ReferenceProfile:
    """Build the profile of a model version; each column of the rows is read once.

    `tables` has the rows of each role: training rows of features and label, the outputs of rows
    that the model was not trained on. A role without rows is left out. Rows with an infinite
    number count as null.

    Raises:
        DataInvalid: a watched column is absent, has another type, or has no values.
    """
    columns: dict[str, ReferenceColumn] = {}
    left_out = dict(watched.left_out)
    sources = {role: _as_rows(rows) for role, rows in tables.items()}
    for one in watched.columns:
        rows = sources.get(one.role)
        if rows is None:
            left_out[one.name] = f"no rows with {one.role}s were there at the release"
        elif (built := _build_column(one, rows)) is None:
            left_out[one.name] = "it has no values in the reference rows"
        else:
            columns[one.name] = built
    features = sources.get("feature")
    profile = ReferenceProfile(
        about.service,
        about.data_version,
        features.count if features else 0,
        columns,
        left_out,
        {name: max(float(value), 0.0) for name, value in about.importance.items()},
        about.known,
        about.slices,
        sections=about.sections,
    )
    return _add_slices(profile, sources, about.least_slice)


def _as_rows(rows: Rows | pa.Table) -> Rows:
    return TableRows(rows) if isinstance(rows, pa.Table) else rows


def _build_column(one: WatchedColumn, rows: Rows) -> ReferenceColumn | None:
    """Return a watched column of the reference; None where it has no values."""
    if one.source not in rows.names:
        raise DataInvalid(
            f"the reference rows have no column '{one.source}'; they have: {', '.join(rows.names)}"
        )
    cells = rows.read(one.source)
    try:
        if one.form == "level":
            return _build_levels(one, cells)
        if one.form == "unknown_words":
            return _build_words(one, cells)
        origin = rows.read(one.origin) if one.form == "age" else None
        return _build_numbers(one, read_numbers(one, cells, origin))
    except ColumnUnreadable as error:
        raise DataInvalid(f"column '{one.source}' of the reference rows: {error}") from error


def _build_levels(one: WatchedColumn, cells: pa.ChunkedArray) -> ReferenceColumn | None:
    names, counts, nulls = read_levels(cells)
    if not names:
        return None
    bins = build_level_bins(names, counts)
    found = count_levels(bins, names, counts, nulls)
    return ReferenceColumn(one, bins, found)


def _build_numbers(
    one: WatchedColumn, values: NDArray[np.float64], vocabulary: frozenset[str] = frozenset()
) -> ReferenceColumn | None:
    """Return a column of numbers: with few distinct ones, each is a level."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    few = len(np.unique(known[: FEW * FEW])) < FEW and len(np.unique(known)) < FEW
    bins: Bins = build_number_bins(known)
    if few:
        names, counts, _ = read_levels(pa.chunked_array([pa.array(known)]))
        bins = build_level_bins(names, counts)
    return ReferenceColumn(one, bins, _prepare_numbers(bins, values).count(), vocabulary)


def _build_words(one: WatchedColumn, cells: pa.ChunkedArray) -> ReferenceColumn | None:
    """Return the shares of unknown words: words of one half of the rows, shares of the other.

    Rows that the vocabulary was made of lack none of its words, and new rows would look like drift.
    """
    halves = _mark_vocabulary(len(cells))
    vocabulary = frozenset(build_vocabulary(cells.filter(pa.array(halves))))
    values = read_numbers(one, cells.filter(pa.array(~halves)), None, vocabulary)
    return _build_numbers(one, values, vocabulary)


def _add_slices(
    profile: ReferenceProfile, sources: Mapping[Role, Rows], least: int
) -> ReferenceProfile:
    """Return the profile with the reference rows of its largest slices."""
    sizes: dict[str, int] = {}
    found: dict[str, dict[str, ColumnCounts]] = {}
    for role, rows in sources.items():
        masks: dict[str, Mask] = {}
        for column in profile.slices:
            if column in rows.names:
                masks |= find_values(column, rows.read(column), None, least)
        if role == "feature":
            sizes = {name: int(mask.sum()) for name, mask in masks.items()}
        for name, one in profile.columns.items():
            if one.watched.role == role:
                counted = _count_column(one, rows, _choose_rows(one, masks))
                for slice_name in masks:
                    found.setdefault(slice_name, {})[name] = counted[slice_name]
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_SLICES]
    bins = profile.bins
    parts = {name: WindowCounts(bins, sizes[name], found.get(name, {})) for name in largest}
    return replace(profile, parts=parts)


def _choose_rows(one: ReferenceColumn, masks: Mapping[str, Mask]) -> Mapping[str, Mask]:
    """Return the masks without the rows of which the column's vocabulary was made."""
    if one.watched.form != "unknown_words":
        return masks
    return {name: mask & ~_mark_vocabulary(len(mask)) for name, mask in masks.items()}


def _mark_vocabulary(rows: int) -> Mask:
    return np.asarray(np.arange(rows) % 2 == 0)

"""Deliveries of a source, and which rows of a batch or of a table are new."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

SourceKind = Literal["files", "delta", "sql"]
NEWEST = -1
"""The newest version of a Delta table."""
NULLABLE = {pa.int64(): "Int64", pa.bool_(): "boolean"}
"""pandas types that hold nulls."""


@dataclass(frozen=True)
class Delivery:
    """One batch to read: a file, a state of a Delta table, or the rows of a query.

    After the ingest `mark` is stored as the watermark of `subject`, so that it is not read again;
    nothing is stored where `subject` is empty. `previous_mark` is the watermark's mark when the
    delivery was found.
    """

    kind: SourceKind
    source: str
    """Path, URI, or the environment variable with the database's URL."""
    subject: str = ""
    mark: str = ""
    previous_mark: str = ""
    version: int = NEWEST

    @property
    def is_pull(self) -> bool:
        """Whether it is read from a table in which rows may change."""
        return self.kind != "files"

    @property
    def argument(self) -> str:
        """The argument with which `ingest` reads this delivery: a file, or empty for a pull."""
        return "" if self.is_pull else self.source


@dataclass(frozen=True, eq=False)
class NewRows:
    """A batch compared with a table by id.

    `fresh` rows have new ids, `changed` rows have an id of the table and other values; both keep
    the batch's order. `known` counts the rows that the table already has.
    """

    fresh: pa.Table
    changed: pa.Table
    known: int


def compare_batch(batch: pa.Table, before: pa.Table | None, id_column: str) -> NewRows:
    """Separate a batch by the rows of the table `before`; with other types it has none of them."""
    none = batch.slice(0, 0)
    if before is None or not _comparable(batch, before):
        return NewRows(batch, none, 0)
    place = pc.index_in(batch[id_column], value_set=before[id_column].combine_chunks())
    has_known_id = pc.is_valid(place)
    repeated = batch.filter(has_known_id)
    if repeated.num_rows == 0:
        return NewRows(batch, none, 0)
    same = _equal_rows(repeated, before.take(place.filter(has_known_id)))
    changed = repeated.filter(pc.invert(same))
    fresh = batch.filter(pc.invert(has_known_id))
    return NewRows(fresh, changed, repeated.num_rows - changed.num_rows)


def _comparable(batch: pa.Table, before: pa.Table) -> bool:
    types = {field.name: field.type for field in before.schema}
    return all(types.get(field.name) == field.type for field in batch.schema)


def _equal_rows(left: pa.Table, right: pa.Table) -> pa.ChunkedArray | pa.Array:
    """Return for each row whether two tables of one length are equal; null equals null."""
    equal = pa.array([True] * left.num_rows)
    for name in left.column_names:
        one, other = left[name], right[name]
        both_null = pc.and_(pc.is_null(one), pc.is_null(other))
        equal = pc.and_(equal, pc.or_(pc.fill_null(pc.equal(one, other), False), both_null))
    return equal


@dataclass(frozen=True, eq=False)
class Arrival:
    """A table with its `fresh` rows and, where there is one, the `previous` version.

    `new` marks the fresh rows of the table, shape (n,). `repeated` counts rows of a delivered batch
    whose ids the previous version has; it is 0 where the table contains the whole previous version,
    as in a release.
    """

    frame: "pd.DataFrame"
    new: "pd.Series[bool]"
    fresh: "pd.DataFrame"
    previous: "pd.DataFrame | None"
    repeated: int

    def __deepcopy__(self, memo: object) -> "Arrival":
        """Return itself: it never changes, and pandas copies the attributes of a frame."""
        return self

    @property
    def known_rows(self) -> int:
        """The number of rows that the service has: this table's and the previous version's."""
        before = len(self.previous) if self.previous is not None else 0
        return max(before + int(self.new.sum()), len(self.frame))


def mark_new_rows(table: pa.Table, baseline: pa.Table | None, id_column: str) -> Arrival:
    """Mark the rows of `table` whose ids `baseline` does not have."""
    import pandas as pd

    frame = to_frame(table)
    if baseline is None:
        return Arrival(frame, pd.Series(data=True, index=frame.index), frame, None, 0)
    seen = pc.is_in(table[id_column], value_set=baseline[id_column].combine_chunks())
    known = pd.Series(seen.to_numpy(), index=frame.index)
    held = pc.is_in(baseline[id_column], value_set=table[id_column].combine_chunks())
    whole = bool(pc.all(held).as_py())
    return Arrival(
        frame=frame,
        new=~known,
        fresh=frame[~known],
        previous=to_frame(baseline),
        repeated=0 if whole else int(known.sum()),
    )


def to_frame(table: pa.Table) -> "pd.DataFrame":
    """Return the table as a pandas frame; integers and booleans keep their kind with nulls."""
    columns = {}
    for name in table.column_names:
        column = table[name]
        nullable = NULLABLE.get(column.type) if column.null_count else None
        columns[name] = _nullable_series(column, nullable) if nullable else column.to_pandas()
    import pandas as pd

    return pd.DataFrame(columns)


def _nullable_series(column: pa.ChunkedArray, dtype: str) -> "pd.Series[int] | pd.Series[bool]":
    import pandas as pd

    return pd.Series(column.to_pylist(), dtype=dtype)

"""Which rows of a delivery or of a table are new."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd


NEWEST = -1
SourceKind = Literal["files", "delta", "sql"]


@dataclass(frozen=True)
class Delivery:
    """One batch to be read: a file, the newest state of a Delta table, or a query's rows.

    `what` and `mark` are remembered once it was taken in, so that it is not taken again; an empty
    `what` is not remembered. `before` is the mark that stood when it was found.
    """

    kind: SourceKind
    source: str
    """Path, URI, or the variable that names the database."""
    what: str = ""
    mark: str = ""
    before: str = ""
    version: int = NEWEST

    @property
    def is_pull(self) -> bool:
        """Whether it is read from a living table, in which rows may have changed."""
        return self.kind != "files"

    @property
    def argument(self) -> str:
        """What `ingest` is told to take this and no other: a file; nothing for a pull."""
        return "" if self.is_pull else self.source


@dataclass(frozen=True, eq=False)
class NewRows:
    """A batch against a table, by id.

    `fresh` rows have new ids, `known` counts the rows that the table has just so, `changed` rows
    carry an id of the table and other values. Both keep the batch's order.
    """

    fresh: pa.Table
    changed: pa.Table
    known: int


def compare_batch(batch: pa.Table, before: pa.Table | None, id_column: str) -> NewRows:
    """Divide a batch by what the table `before` holds; a table of other types holds none of it."""
    none = batch.slice(0, 0)
    if before is None or not _comparable(batch, before):
        return NewRows(batch, none, 0)
    place = pc.index_in(batch[id_column], value_set=before[id_column].combine_chunks())
    held = pc.is_valid(place)
    suspects = batch.filter(held)
    if suspects.num_rows == 0:
        return NewRows(batch, none, 0)
    twins = before.take(place.filter(held))
    same = _equal_rows(suspects, twins)
    changed = suspects.filter(pc.invert(same))
    return NewRows(batch.filter(pc.invert(held)), changed, suspects.num_rows - changed.num_rows)


def _comparable(batch: pa.Table, before: pa.Table) -> bool:
    types = {field.name: field.type for field in before.schema}
    return all(types.get(field.name) == field.type for field in batch.schema)


def _equal_rows(left: pa.Table, right: pa.Table) -> pa.ChunkedArray | pa.Array:
    """Tell row by row whether two tables of one length are equal; null equals null."""
    equal = pa.array([True] * left.num_rows)
    for name in left.column_names:
        one, other = left[name], right[name]
        both_null = pc.and_(pc.is_null(one), pc.is_null(other))
        equal = pc.and_(equal, pc.or_(pc.fill_null(pc.equal(one, other), False), both_null))
    return equal


NULLABLE = {pa.int64(): "Int64", pa.bool_(): "boolean"}


@dataclass(frozen=True, eq=False)
class Arrival:
    """A table split by what is new: `fresh` rows and, where there is one, the `previous` version.

    `new` marks the fresh rows of the table, shape (n,). `repeated` counts rows of a delivered batch
    whose ids the previous version has; where the table holds the whole previous version, as in a
    release, none is.
    """

    frame: "pd.DataFrame"
    new: "pd.Series[bool]"
    fresh: "pd.DataFrame"
    previous: "pd.DataFrame | None"
    repeated: int

    def __deepcopy__(self, memo: object) -> "Arrival":
        """Give itself: it never changes, and pandas copies what travels with a frame."""
        return self

    @property
    def known_rows(self) -> int:
        """Rows that the service has with this table: its own and those of the previous version."""
        before = len(self.previous) if self.previous is not None else 0
        return max(before + int(self.new.sum()), len(self.frame))


def divide_table(table: pa.Table, baseline: pa.Table | None, id_column: str) -> Arrival:
    """Find the rows of `table` whose ids `baseline` does not have."""
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
    """Give the table to pandas; whole numbers and booleans stay what they are beside nulls."""
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

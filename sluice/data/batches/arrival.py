"""Deliveries of a source, and which rows of a batch or of a table are new."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from sluice.data.batches.exceptions import NO_EXCEPTIONS, Exceptions
from sluice.data.schema import ROWS_BEFORE

if TYPE_CHECKING:
    import pandas as pd

SourceKind = Literal["files", "delta", "sql", "traffic"]
NEWEST = -1
"""The newest version of a Delta table."""


@dataclass(frozen=True)
class Delivery:
    """One batch to read: a file, a state of a Delta table, a query's rows, or labelled traffic.

    After the ingest `mark` is stored as the watermark of `subject`, so that it is not read again;
    nothing is stored where `subject` is empty. `previous_mark` is the watermark's mark when the
    delivery was found.
    """

    kind: SourceKind
    source: str
    """Path, URI, the environment variable with the database's URL, or `traffic of SERVICE`."""
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
    """Separate a batch by the rows of the table `before`; with other types it has none of them.

    A row without a value in a column that was added later is known if all else is equal: most of
    them are older than the column, and a row never changes, whatever is delivered for it now.
    """
    if before is None or not _comparable(batch, before):
        return NewRows(batch, batch.slice(0, 0), 0)
    repeated, same, fresh = _compare_rows(batch, before, id_column)
    changed = repeated.filter(pc.invert(same))
    return NewRows(fresh, changed, repeated.num_rows - changed.num_rows)


def find_same(batch: pa.Table, other: pa.Table, id_column: str) -> pa.Table:
    """Return the rows of a batch that another table has with the same id and values."""
    if not _comparable(batch, other):
        return batch.slice(0, 0)
    repeated, same, _ = _compare_rows(batch, other, id_column)
    return repeated.filter(same)


def _compare_rows(
    batch: pa.Table, before: pa.Table, id_column: str
) -> tuple[pa.Table, pa.ChunkedArray | pa.Array, pa.Table]:
    """Return the rows with an id of `before`, a mark of those that are equal, and the others."""
    place = pc.index_in(batch[id_column], value_set=before[id_column].combine_chunks())
    has_known_id = pc.is_valid(place)
    repeated = batch.filter(has_known_id)
    others = before.take(place.filter(has_known_id))
    same = _equal_rows(repeated, others, set(count_rows_before(before)))
    return repeated, same, batch.filter(pc.invert(has_known_id))


def _comparable(batch: pa.Table, before: pa.Table) -> bool:
    types = {field.name: field.type for field in before.schema}
    return all(types.get(field.name) == field.type for field in batch.schema)


def _equal_rows(left: pa.Table, right: pa.Table, added: set[str]) -> pa.ChunkedArray | pa.Array:
    """Return for each row whether two tables of one length are equal; null equals null.

    In an added column null of the right side equals anything.
    """
    equal = pa.array([True] * left.num_rows, pa.bool_())
    for name in left.column_names:
        one, other = left[name], right[name]
        both_null = pc.is_null(other)
        if name not in added:
            both_null = pc.and_(pc.is_null(one), both_null)
        equal = pc.and_(equal, pc.or_(pc.fill_null(pc.equal(one, other), False), both_null))
    return equal


@dataclass(frozen=True, eq=False)
class EarlierBatches:
    """What is known of the batches before a table or batch that is judged.

    `sizes` is given where a batch is judged that is to be appended: the rows of each earlier batch,
    oldest first. `exceptions` are the rows that a person accepted.
    """

    sizes: tuple[int, ...] | None = None
    exceptions: Exceptions = NO_EXCEPTIONS
    is_traffic: bool = False
    """Whether the new rows are, or may be, labelled traffic, which has no usual size."""


NOTHING_EARLIER = EarlierBatches()


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
    id_column: str = ""
    earlier: EarlierBatches = NOTHING_EARLIER
    rows_before: Mapping[str, int] = field(default_factory=dict)
    """How many previous rows are older than a column that was added later."""

    def take_previous(self, column: str) -> "pd.Series[Any]":
        """Return a column of the previous version, without the rows that are older than it.

        Their nulls say nothing about the column, so new rows are not compared with them.

        Raises:
            ValueError: there is no previous version.
        """
        if self.previous is None:
            raise ValueError("there is no previous version")
        values, older = self.previous[column], self.rows_before.get(column, 0)
        if not older:
            return values
        place = values.isna().to_numpy().nonzero()[0][:older]
        return values.drop(index=values.index[place])

    def __deepcopy__(self, memo: object) -> "Arrival":
        """Return itself: it never changes, and pandas copies the attributes of a frame."""
        return self

    @property
    def known_rows(self) -> int:
        """The number of rows that the service has: this table's and the previous version's."""
        before = len(self.previous) if self.previous is not None else 0
        return max(before + int(self.new.sum()), len(self.frame))

    @property
    def is_increment(self) -> bool:
        """Whether the table is a batch that is to be appended to the previous version."""
        return self.earlier.sizes is not None

    @property
    def table_rows(self) -> int:
        """The number of rows of the table, with the batch where this is one."""
        before = self.previous if self.is_increment else None
        return len(self.frame) + (len(before) if before is not None else 0)

    def has_accepted(self, rule: str) -> bool:
        """Whether there are fresh rows that a person accepted against a rule on the table."""
        accepted = self.earlier.exceptions.rows.get(rule)
        return bool(accepted) and len(self.select_fresh(rule)) < len(self.fresh)

    def select_fresh(self, rule: str) -> "pd.DataFrame":
        """Return the fresh rows, without those that a person accepted against the rule."""
        return self.earlier.exceptions.leave_out(rule, self.fresh, self.id_column)


def mark_new_rows(
    table: pa.Table,
    baseline: pa.Table | None,
    id_column: str,
    earlier: EarlierBatches = NOTHING_EARLIER,
) -> Arrival:
    """Mark the rows of `table` whose ids `baseline` does not have."""
    import pandas as pd

    frame = to_frame(table)
    if baseline is None:
        everything = pd.Series(data=True, index=frame.index)
        return Arrival(frame, everything, frame, None, 0, id_column, earlier)
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
        id_column=id_column,
        earlier=earlier,
        rows_before=count_rows_before(baseline),
    )


def count_rows_before(table: pa.Table) -> dict[str, int]:
    """Return how many rows are older than a column, for each column that was added later."""
    return {
        item.name: int(item.metadata[ROWS_BEFORE])
        for item in table.schema
        if item.metadata and ROWS_BEFORE in item.metadata
    }


def extend_batch(
    arrival: Arrival, batch: pa.Table, baseline: pa.Table | None, most: int
) -> tuple["pd.DataFrame", "pd.Series[bool]"]:
    """Return a batch with at most `most` rows of the table before it, and a mark of its own rows.

    So a small batch can be judged together with the table. The rows of a longer table are a sample,
    seed 0. A table that is no batch is returned as it is, with the mark of its new rows.
    """
    import numpy as np
    import pandas as pd

    if not arrival.is_increment or baseline is None or not _comparable(batch, baseline):
        return arrival.frame, arrival.new
    if baseline.num_rows > most:
        chosen = np.random.default_rng(0).choice(baseline.num_rows, most, replace=False)
        baseline = baseline.take(np.sort(chosen))
    fresh = batch.filter(pa.array(arrival.new.to_numpy()))
    frame = to_frame(pa.concat_tables([baseline.select(batch.column_names), fresh]))
    return frame, pd.Series(frame.index >= baseline.num_rows, index=frame.index)


def to_frame(table: pa.Table) -> "pd.DataFrame":
    """Return the table as a pandas frame; integers and booleans keep their kind with nulls."""
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    columns = {}
    for name in table.column_names:
        column = table[name]
        types = nullable.get if column.null_count else None
        columns[name] = column.to_pandas(types_mapper=types)
    return pd.DataFrame(columns)

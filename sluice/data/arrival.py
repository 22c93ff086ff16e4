"""Which rows of a table are new since the version that it is held against."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

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

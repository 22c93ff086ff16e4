"""The ids of rows: each row has one, and each is given once."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from sluice.errors import DataInvalid

SHOWN_PLACES = 3
"""Most rows or ids that a message names."""


def count_rows(rows: list[int]) -> list[str]:
    """Return the names of rows, counted from 0, as messages show them."""
    return [f"row {row + 1}" for row in rows]


def check_ids(
    column: pa.ChunkedArray,
    name: str,
    source: str,
    find_places: Callable[[list[int]], list[str]] = count_rows,
) -> None:
    """Check that no id is null or given twice; `find_places` names rows, counted from 0.

    Raises:
        DataInvalid: an id is; the message has the number of rows, and the first places or ids.
    """
    if column.null_count:
        rows = pc.indices_nonzero(pc.is_null(column)).to_pylist()
        first = ", ".join(find_places(rows[:SHOWN_PLACES]))
        raise DataInvalid(
            f"{source}: column '{name}': {len(rows):,} rows have no id (first: {first}); allowed: "
            "an id in each row; next: give them one at the source, or leave them out there"
        )
    counts = pc.value_counts(column)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        first = ", ".join(str(value) for value in twice[:SHOWN_PLACES].to_pylist())
        rows = pc.indices_nonzero(pc.equal(column, twice[0])).to_pylist()
        places = " and ".join(find_places(rows[:2]))
        raise DataInvalid(
            f"{source}: column '{name}': {len(twice):,} ids are given more than once "
            f"(first: {first}), the first in {places}; allowed: each id once; next: leave one row "
            "of each id at the source"
        )

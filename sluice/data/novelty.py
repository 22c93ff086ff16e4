"""Which rows of a batch a table does not have, has already, or has with other values."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, eq=False)
class Novelty:
    """A batch against a table, by id.

    `fresh` rows have new ids, `known` counts the rows that the table has just so, `changed` rows
    carry an id of the table and other values. Both keep the batch's order.
    """

    fresh: pa.Table
    changed: pa.Table
    known: int


def compare_batch(batch: pa.Table, before: pa.Table | None, id_column: str) -> Novelty:
    """Divide a batch by what the table `before` holds; a table of other types holds none of it."""
    none = batch.slice(0, 0)
    if before is None or not _comparable(batch, before):
        return Novelty(batch, none, 0)
    place = pc.index_in(batch[id_column], value_set=before[id_column].combine_chunks())
    held = pc.is_valid(place)
    suspects = batch.filter(held)
    if suspects.num_rows == 0:
        return Novelty(batch, none, 0)
    twins = before.take(place.filter(held))
    same = _equal_rows(suspects, twins)
    changed = suspects.filter(pc.invert(same))
    return Novelty(batch.filter(pc.invert(held)), changed, suspects.num_rows - changed.num_rows)


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

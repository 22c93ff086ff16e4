"""Rows are new, known or changed, by id and by every value."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sluice.data.batches.arrival import compare_batch

SCHEMA = pa.schema([("key", pa.int64()), ("value", pa.string())])
Rows = list[tuple[int, str | None]]


def make(rows: Rows) -> pa.Table:
    return pa.table({"key": [k for k, _ in rows], "value": [v for _, v in rows]}, schema=SCHEMA)


def test_rows_are_separated_and_keep_their_order() -> None:
    found = compare_batch(
        make([(4, "d"), (1, "a"), (2, "other"), (3, None)]),
        make([(3, None), (2, "b"), (1, "a")]),
        "key",
    )
    assert found.fresh.to_pylist() == [{"key": 4, "value": "d"}]
    assert found.changed.to_pylist() == [{"key": 2, "value": "other"}]
    assert found.known == 2


def test_null_and_a_value_differ() -> None:
    assert compare_batch(make([(1, None)]), make([(1, "a")]), "key").changed.num_rows == 1
    assert compare_batch(make([(1, "a")]), make([(1, None)]), "key").changed.num_rows == 1


def test_without_a_table_everything_is_new() -> None:
    assert compare_batch(make([(1, "a")]), None, "key").fresh.num_rows == 1


def test_a_table_of_other_types_is_refused_only_by_the_append() -> None:
    other = pa.table({"key": ["1"], "value": ["a"]})
    assert compare_batch(make([(1, "a")]), other, "key").fresh.num_rows == 1


ROWS = st.dictionaries(st.integers(0, 6), st.none() | st.sampled_from("ab"), max_size=7)


@given(batch=ROWS, table=ROWS)
def test_it_agrees_with_dictionaries(
    batch: dict[int, str | None], table: dict[int, str | None]
) -> None:
    found = compare_batch(make(list(batch.items())), make(list(table.items())), "key")
    fresh = [key for key in batch if key not in table]
    changed = [key for key in batch if key in table and table[key] != batch[key]]
    assert found.fresh["key"].to_pylist() == fresh
    assert found.changed["key"].to_pylist() == changed
    assert found.known == len(batch) - len(fresh) - len(changed)

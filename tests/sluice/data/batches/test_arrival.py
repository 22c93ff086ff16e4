"""A row is new when the baseline version does not have its id."""

import copy

import pyarrow as pa

from sluice.data.batches.arrival import mark_new_rows, to_frame

BEFORE = pa.table({"key": [1, 2, 3]})


def test_without_a_previous_version_every_row_is_new() -> None:
    found = mark_new_rows(BEFORE, None, "key")
    assert len(found.fresh) == 3
    assert found.previous is None
    assert found.known_rows == 3


def test_a_whole_table_contains_its_previous_version_and_repeats_nothing() -> None:
    found = mark_new_rows(pa.table({"key": [1, 2, 3, 4, 5]}), BEFORE, "key")
    assert found.fresh["key"].tolist() == [4, 5]
    assert found.repeated == 0
    assert found.known_rows == 5


def test_a_delivered_batch_is_all_new_and_adds_to_what_is_known() -> None:
    found = mark_new_rows(pa.table({"key": [4, 5]}), BEFORE, "key")
    assert len(found.fresh) == 2
    assert found.repeated == 0
    assert found.known_rows == 5


def test_a_batch_with_known_ids_repeats_them() -> None:
    found = mark_new_rows(pa.table({"key": [3, 4, 5]}), BEFORE, "key")
    assert found.fresh["key"].tolist() == [4, 5]
    assert found.repeated == 1


def test_whole_numbers_and_booleans_keep_their_kind_with_nulls() -> None:
    frame = to_frame(pa.table({"age": [1, None], "flag": [None, True], "size": [1.0, None]}))
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "boolean", "float64"]


def test_an_arrival_is_never_copied() -> None:
    found = mark_new_rows(BEFORE, None, "key")
    assert copy.deepcopy(found) is found

"""A table is cast to the service's schema exactly, or refused with the reason."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from sluice.data.schema import (
    arrow_schema,
    check_schema,
    convert_cells,
    drop_index,
    find_misfit,
)
from sluice.errors import DataInvalid, SchemaDiffers
from support.releases.runs import small_config

CONFIG = small_config("size", "name")


def make_table(**changes: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "key": pa.array([1, 2, 3], pa.int32()),
        "size": pa.array([1.5, None, 3.0]),
        "name": pa.array(["a", "b", "a"]).dictionary_encode(),
        "flag": pa.array([True, False, None]),
        "seen": pa.array([date(2020, 1, 1)] * 3),
        "label": pa.array([0.0, 1.0, 1.0]),
    }
    return pa.table({**columns, **changes})


def test_types_are_cast_where_nothing_is_lost() -> None:
    table = check_schema(make_table(), CONFIG, "x")
    assert table.schema.equals(arrow_schema(CONFIG))
    assert table["label"].to_pylist() == [0, 1, 1]
    assert table["name"].to_pylist() == ["a", "b", "a"]


def test_columns_are_put_in_the_order_of_the_config() -> None:
    reordered = make_table().select(["label", "seen", "flag", "name", "size", "key"])
    assert check_schema(reordered, CONFIG, "x").column_names == list(CONFIG.columns)


def test_not_a_number_becomes_null() -> None:
    table = check_schema(make_table(size=pa.array([1.0, float("nan"), 2.0])), CONFIG, "x")
    assert table["size"].to_pylist() == [1.0, None, 2.0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": ["1", "2", "3"]}, "x: column 'size': found text (such as '1'), allowed: number"),
        ({"name": [1, 2, 3]}, "column 'name': found int64 (such as '1'), allowed: text"),
        ({"flag": [1, 0, 1]}, "column 'flag': found int64"),
        ({"label": [True, False, True]}, "column 'label': found bool"),
        ({"label": [0.0, 0.5, 1.0]}, "row 2: column 'label': found 0.5, allowed: integer"),
        ({"size": [1.0, 2.0, float("inf")]}, "row 3: column 'size': found inf"),
        ({"size": [1, 2**53 + 1, 3]}, "row 2: column 'size': found 9007199254740993"),
        ({"key": [1, 7, 7]}, "column 'key': 1 ids are given more than once (first: 7)"),
        ({"key": [1, None, 2]}, "column 'key': 1 rows have no id"),
        ({"sise": [1.0, 2.0, 3.0]}, "column 'sise' is unknown"),
    ],
)
def test_a_lossy_or_wrong_column_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataInvalid) as caught:
        check_schema(make_table(**changes), CONFIG, "x")
    assert words in str(caught.value)


def test_a_misspelt_column_is_recognised() -> None:
    table = make_table().rename_columns(["key", "sise", "name", "flag", "seen", "label"])
    with pytest.raises(DataInvalid, match=r"'size' is missing \(did you mean 'sise'"):
        check_schema(table, CONFIG, "x")


def test_a_column_given_twice_is_refused() -> None:
    table = make_table().append_column("name", pa.array(["a", "b", "c"]))
    with pytest.raises(DataInvalid, match="'name' is given 2 times"):
        check_schema(table, CONFIG, "x")


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(DataInvalid, match="no rows"):
        check_schema(make_table()[:0], CONFIG, "x")


def test_the_first_misfit_is_found_among_several() -> None:
    column = pa.chunked_array([["1", "2"], ["x", "3", "y"]])
    assert find_misfit(column, pa.int64()) == 2


def test_a_column_without_misfit_has_none_to_find() -> None:
    with pytest.raises(ValueError, match="can be cast"):
        find_misfit(pa.chunked_array([["1", "2"]]), pa.int64())


@pytest.mark.parametrize(
    ("columns", "changes"),
    [
        ({"extra col": pa.array([1.5])}, ("add 'extra col' number",)),
        ({"sise": pa.array([1.5]), "size": None}, ("rename size sise",)),
        ({"width": pa.array([1.5]), "size": None}, ("rename size width",)),
        ({"flag": None}, ("drop flag",)),
        ({"label": pa.array([0.5])}, ("widen label number",)),
        ({"label": pa.array(["a"])}, ("widen label text",)),
        ({"flag": pa.array([7])}, ("widen flag integer",)),
        ({"size": pa.array(["a"])}, ()),
    ],
)
def test_a_file_that_differs_comes_with_the_changes_that_let_it_in(
    columns: dict[str, pa.Array | None], changes: tuple[str, ...]
) -> None:
    table = arrow_schema(small_config("size")).empty_table()
    cells = {name: pa.nulls(1, table.schema.field(name).type) for name in table.column_names}
    cells = {**cells, "key": pa.array([1]), **columns}
    found = pa.table({name: column for name, column in cells.items() if column is not None})
    with pytest.raises(SchemaDiffers) as caught:
        check_schema(found, small_config("size"), "file")
    assert caught.value.changes == changes


def test_a_cell_of_a_query_that_differs_comes_with_its_change() -> None:
    with pytest.raises(SchemaDiffers) as caught:
        convert_cells([1, 2.5], "label", "integer", "SHOP")
    assert caught.value.changes == ("widen label number",)


def test_an_index_stays_where_the_service_has_it_as_a_column() -> None:
    table = pa.table({"__index_level_0__": [1], "a": [2], "Unnamed: 0": [3]})
    assert drop_index(table, {"__index_level_0__": "integer"})[0].column_names == [
        "__index_level_0__", "a",
    ]  # fmt: skip
    assert drop_index(table)[0].column_names == ["a"]

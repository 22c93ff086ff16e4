"""Inputs are checked against the model's signature; a row that does not fit is told apart."""

import math
from typing import Any

import pyarrow as pa
import pytest

from sluice.config.data import DataConfig
from sluice.errors import DataInvalid
from sluice.scoring.inputs import check_input_schema, make_frame, sift_inputs
from support.releases.runs import small_config

KINDS = {"size": "number", "name": "text", "flag": "boolean", "seen": "timestamp", "key": "integer"}
DATA = DataConfig.model_validate(
    {
        "id": "id",
        "target": "label",
        "columns": {"id": "integer", "label": "integer", **KINDS},
        "features": list(KINDS),
        "suite": "none",
    }
)
GOOD: dict[str, list[Any]] = {
    "key": [1, 2, 3],
    "size": [0.5, None, 2.0],
    "name": ["a", None, "c"],
    "flag": [True, None, False],
    "seen": ["2026-01-01", "2026-01-02 12:00", None],
}


def make_input(**changes: Any) -> pa.Table:
    columns = {name: pa.array(values) for name, values in GOOD.items()} | changes
    return pa.table({name: column for name, column in columns.items() if column is not None})


def test_rows_that_fit_are_kept_in_the_kinds_of_the_model() -> None:
    found = sift_inputs(make_input(key=pa.array([1.0, 2.0, 3.0])), DATA, ("name",), "a.parquet")
    assert found.bad == ()
    assert found.kept.column_names == ["name"]
    kinds = [str(field.type) for field in found.features.schema]
    assert kinds == ["double", "string", "bool", "timestamp[us, tz=UTC]", "int64"]


def test_a_frame_has_the_types_that_a_gateway_gives_its_model() -> None:
    frame = make_frame(sift_inputs(make_input(), DATA, (), "a.parquet").features, DATA)
    assert [str(frame[name].dtype) for name in ("size", "name", "flag", "key")] == [
        "float64",
        "str",
        "object",
        "float64",
    ]
    assert frame["flag"].tolist() == [True, None, False]
    assert str(frame["seen"].dt.tz) == "UTC"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": None}, "column 'size' is missing; found: key, name, flag, seen; the model reads"),
        ({"size": None, "sizes": pa.array([1, 2, 3])}, r"is missing \(did you mean 'sizes'\?\)"),
        ({"size": pa.array(["a", "b", "c"])}, "column 'size': found string, allowed: number"),
        ({"name": pa.array([1, 2, 3])}, "column 'name': found int64, allowed: text"),
        ({"flag": pa.array([0, 1, 0])}, "column 'flag': found int64, allowed: boolean"),
        ({"seen": pa.array([1, 2, 3])}, "column 'seen': found int64, allowed: timestamp"),
        ({"key": pa.array(["1", "2", "3"])}, "column 'key': found string, allowed: integer"),
    ],
)
def test_a_schema_that_does_not_fit_names_file_column_found_and_allowed(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataInvalid, match=rf"^a\.parquet: .*{words}"):
        check_input_schema(make_input(**changes).schema, DATA, (), "a.parquet")


def test_a_column_to_keep_must_be_there() -> None:
    with pytest.raises(DataInvalid, match=r"column 'other' is missing.*it is a column to keep"):
        check_input_schema(make_input().schema, DATA, ("other",), "a.parquet")


def test_a_column_that_is_given_twice_is_refused() -> None:
    schema = pa.schema([*make_input().schema, ("size", pa.float64())])
    with pytest.raises(DataInvalid, match="column 'size' is given more than once"):
        check_input_schema(schema, DATA, (), "a.parquet")


@pytest.mark.parametrize(
    ("column", "cells", "found", "allowed"),
    [
        ("size", [1.0, math.inf, 2.0], "inf", "a finite number, or null"),
        ("key", [1.0, 2.5, 3.0], "2.5", "a whole number of 64 bits, or null"),
        ("seen", ["2026-01-01", "soon", None], "'soon'", "a time such as"),
    ],
)
def test_a_bad_row_is_left_out_and_named(
    column: str, cells: list[Any], found: str, allowed: str
) -> None:
    table = make_input(**{column: pa.array(cells)})
    sifted = sift_inputs(table, DATA, ("key",), "a.parquet", first=10)
    assert len(sifted.bad) == 1
    bad = sifted.bad[0]
    assert (bad.row, bad.column, bad.found) == (12, column, found)
    assert bad.allowed.startswith(allowed)
    assert sifted.kept["key"].to_pylist() == [1, 3]
    assert sifted.features.num_rows == 2
    assert bad.describe().startswith(f"a.parquet: row 12: column '{column}': found {found}")


def test_a_row_with_two_bad_cells_is_one_bad_row() -> None:
    table = make_input(size=pa.array([1.0, math.inf, 2.0]), key=pa.array([1.0, 2.5, 3.0]))
    assert [item.row for item in sift_inputs(table, DATA, (), "a").bad] == [2]


def test_not_a_number_is_null() -> None:
    found = sift_inputs(make_input(size=pa.array([math.nan, 1.0, 2.0])), DATA, (), "a")
    assert found.bad == ()
    assert found.features["size"].null_count == 1


def test_many_bad_rows_are_all_found() -> None:
    cells = [math.inf if place % 3 == 0 else 1.0 for place in range(1_000)]
    found = sift_inputs(pa.table({"size": cells}), small_config("size"), (), "a")
    assert [item.row for item in found.bad] == list(range(1, 1_001, 3))

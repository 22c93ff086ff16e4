"""Rows that were kept under an older schema fit the schema of today, or are refused."""

import pyarrow as pa
import pytest

from sluice.config.data import DataConfig
from sluice.data.schema import ARROW_TYPES, conform_rows
from sluice.errors import DataInvalid

TODAY = DataConfig(
    id="key",
    time="day",
    target="label",
    columns={
        "key": "integer",
        "day": "text",
        "price": "number",
        "channel": "text",
        "label": "integer",
    },
    features=("price", "channel"),
    suite="shop",
)
KEPT = pa.table({"key": [1, 2], "day": ["a", "b"], "price": [3, 4], "label": [0, 1]})


def test_a_column_that_was_added_since_is_null_and_a_widened_one_is_cast() -> None:
    found = conform_rows(KEPT, TODAY, "batch")
    assert found.column_names == list(TODAY.columns)
    assert found["channel"].to_pylist() == [None, None]
    assert found["channel"].type == ARROW_TYPES["text"]
    assert found["price"].to_pylist() == [3.0, 4.0]


def test_rows_of_today_stay_as_they_are() -> None:
    found = conform_rows(KEPT, TODAY, "batch")
    assert conform_rows(found, TODAY, "batch").equals(found)


@pytest.mark.parametrize("name", ["key", "day", "label"])
def test_a_column_that_every_row_needs_is_never_made_up(name: str) -> None:
    with pytest.raises(DataInvalid, match=f"column '{name}' is missing"):
        conform_rows(KEPT.drop_columns([name]), TODAY, "batch")


def test_a_renamed_column_is_refused_and_not_made_null() -> None:
    old = KEPT.append_column("chanel", pa.array(["x", "y"]))
    with pytest.raises(DataInvalid, match=r"column 'channel' is missing \(did you mean 'chanel'"):
        conform_rows(old, TODAY, "batch")

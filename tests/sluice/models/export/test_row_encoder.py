"""Row by row and column by column, the numbers are equal to the last bit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.models.export.onnx_export import make_sample, take_columns
from sluice.models.export.preprocessing import (
    NumberColumn,
    Preprocessing,
    TextColumn,
)
from sluice.models.export.reading import read_preprocessing
from sluice.models.export.row_encoder import RowEncoder
from sluice.stats.holdout import Predictions

NAN = float("nan")
ALL = Preprocessing(
    (
        TextColumn("town", {"ayr": 0.0, "bute": 1.0}, unknown=-1.0, null=NAN),
        TextColumn("hue", {"red": 0.0, "blue": 2.0}, unknown=-1.0, null=1.0, width=3),
        NumberColumn("size", "number"),
        NumberColumn("count", "integer", fill=7.0, mean=2.3, scale=0.7),
        NumberColumn("here", "boolean", fill=1.0, mean=0.5, scale=0.25),
        NumberColumn("seen", "timestamp"),
    )
)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from(["ayr", "bute", "zennor", ""]),
        st.none() | st.sampled_from(["red", "blue", "green"]),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        st.none() | MOMENTS | MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    ),
    min_size=1,
    max_size=8,
)


@given(ROWS)
def test_any_rows_become_the_numbers_of_the_columns(rows: list[tuple[Any, ...]]) -> None:
    encoder = RowEncoder(ALL)
    columns = dict(zip(encoder.names, map(list, zip(*rows, strict=True)), strict=True))
    found = encoder.encode(rows)
    assert found.shape == (len(rows), ALL.width)
    np.testing.assert_array_equal(found, ALL.encode(columns))


@pytest.mark.parametrize("kind", ["linear", "random_forest"])
def test_records_of_a_fitted_model_become_its_numbers(
    rows: Callable[..., pd.DataFrame], data: Any, fitted: Any, kind: str
) -> None:
    transformer = fitted("binary", rows("binary"), kind)[0]
    preprocessing = read_preprocessing(transformer, data("binary"))
    unseen = rows("binary", seed=8)
    sample = make_sample(unseen, Predictions(np.zeros(len(unseen))), data("binary"))
    encoder = RowEncoder(preprocessing)
    records = [
        {**item, "since": item["since"] and datetime.fromisoformat(item["since"])}
        for item in sample.records
    ]
    values = [[record[name] for name in encoder.names] for record in records]
    expected = preprocessing.encode(take_columns(unseen, data("binary")))
    np.testing.assert_array_equal(encoder.encode(values), expected)


def test_a_time_zone_is_converted() -> None:
    encoder = RowEncoder(Preprocessing((NumberColumn("seen", "timestamp"),)))
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    abroad = noon.astimezone(tz=None) + timedelta(0)
    np.testing.assert_array_equal(encoder.encode([[noon], [abroad]])[:, 0], [noon.timestamp()] * 2)


def test_no_rows_are_an_empty_array() -> None:
    assert RowEncoder(ALL).encode([]).shape == (0, ALL.width)

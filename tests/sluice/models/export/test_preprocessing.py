"""Plain NumPy prepares rows exactly as the fitted column transformer does."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.errors import DataInvalid
from sluice.models.export.onnx_export import take_columns
from sluice.models.export.preprocessing import (
    NumberColumn,
    Preprocessing,
    TextColumn,
)
from sluice.models.export.reading import read_preprocessing

CODES = TextColumn("town", {"ayr": 0.0, "bute": 1.0}, unknown=-1.0, null=float("nan"))


@pytest.mark.parametrize("kind", ["linear", "random_forest"])
def test_numbers_are_those_of_the_transformer(
    rows: Callable[..., pd.DataFrame], data: Any, fitted: Any, kind: str
) -> None:
    transformer = fitted("binary", rows("binary"), kind)[0]
    unseen = rows("binary", seed=8)
    unseen.loc[::5, "town"] = "zennor"
    unseen.loc[::6, "colour"] = None
    expected = transformer.transform(unseen[list(data("binary").features)])
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    found = read_preprocessing(transformer, data("binary"))
    again = Preprocessing.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    for preprocessing in (found, again):
        assert preprocessing.width == expected.shape[1]
        encoded = preprocessing.encode(take_columns(unseen, data("binary")))
        np.testing.assert_array_equal(encoded, expected)


def test_unknown_and_null_have_codes_of_their_own() -> None:
    found = CODES.encode(["bute", "ayr", "zennor", None, float("nan"), pd.NA])
    np.testing.assert_array_equal(found[:, 0], [1.0, 0.0, -1.0, np.nan, np.nan, np.nan])


def test_one_hot_codes_are_columns_and_minus_one_is_none() -> None:
    column = TextColumn("town", {"ayr": 0.0, "bute": 2.0}, unknown=-1.0, null=1.0, width=3)
    found = column.encode(["ayr", "bute", "zennor", None])
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]])


def test_times_of_every_form_are_the_same_second() -> None:
    column = NumberColumn("since", "timestamp")
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    abroad = noon.astimezone(timezone(timedelta(hours=2)))
    values = [noon, abroad, noon.replace(tzinfo=None), "2020-01-01T12:00:00", None]
    found = column.encode(values)[:, 0]
    np.testing.assert_array_equal(found, [noon.timestamp()] * 4 + [np.nan])


def test_booleans_are_numbers() -> None:
    found = NumberColumn("member", "boolean").encode([True, False, None])
    np.testing.assert_array_equal(found[:, 0], [1.0, 0.0, np.nan])


@pytest.mark.parametrize("odd", [float("inf"), -float("inf")])
def test_infinity_is_refused(odd: float) -> None:
    with pytest.raises(DataInvalid, match="feature 'size' is infinite; allowed: finite"):
        NumberColumn("size", "number").encode([1.0, odd])


@pytest.mark.parametrize("kind", ["number", "timestamp"])
def test_a_text_where_a_number_belongs_is_refused(kind: Any) -> None:
    with pytest.raises(DataInvalid, match=f"feature 'size' has values other than {kind}"):
        NumberColumn("size", kind).encode(["many"])

import numpy as np
import pandas as pd
import pytest

from sluice.config.data import DataConfig
from sluice.models.features import LEVELS, RARE, build_linear_features, build_tree_features
from sluice.models.timestamps import TimestampEncoder


def configure(**columns: str) -> DataConfig:
    values = {"id": "row", "target": "y", "suite": "none"}
    named = {"row": "integer", "y": "integer", **columns}
    return DataConfig.model_validate({**values, "columns": named, "features": list(columns)})


def test_unknown_text_is_minus_one_and_null_is_not_a_number() -> None:
    data = configure(colour="text")
    frame = pd.DataFrame({"colour": ["red", "blue"] * RARE + [None] * RARE})
    codes = build_tree_features(data, "binary").fit(frame)
    coded = codes.transform(pd.DataFrame({"colour": ["blue", "red", "green", None]}))
    assert coded[:3, 0].tolist() == [0.0, 1.0, -1.0]
    assert np.isnan(coded[3, 0])


def test_rare_levels_share_one_code() -> None:
    frame = pd.DataFrame({"colour": ["red"] * 20 + ["blue"] * 20 + ["mauve", "puce", "ecru"] * 3})
    coded = build_tree_features(configure(colour="text"), "binary").fit_transform(frame)
    assert len(np.unique(coded[40:])) == 1
    assert len(np.unique(coded)) == 3


def test_codes_stay_below_the_limit_of_gradient_boosting() -> None:
    frame = pd.DataFrame({"name": [f"n{i:04}" for i in range(400) for _ in range(RARE)]})
    coded = build_tree_features(configure(name="text"), "binary").fit_transform(frame)
    assert coded.max() < 255
    assert len(np.unique(coded)) == LEVELS


def test_columns_are_ordered_by_kind_text_first() -> None:
    data = configure(size="number", colour="text", open="boolean")
    frame = pd.DataFrame({"size": [1.5, 2.5], "colour": ["a", "a"], "open": [True, False]})
    made = build_tree_features(data, "binary").fit_transform(frame)
    assert made[:, 1:].tolist() == [[1.5, 1.0], [2.5, 0.0]]


def test_linear_numbers_are_scaled_with_nulls_at_the_median() -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0, np.nan, 3.0]})
    made = build_linear_features(configure(size="number"), "regression").fit_transform(frame)
    assert made.mean() == pytest.approx(0.0)
    assert made.std() == pytest.approx(1.0)
    assert made[2, 0] == pytest.approx(0.0)


def test_timestamps_are_seconds_whatever_their_zone_and_unit() -> None:
    moment = "1970-01-02T01:00:00"
    columns = {
        "utc": pd.Series(pd.to_datetime([moment, None], utc=True)),
        "naive": pd.Series(pd.to_datetime([moment, None])).astype("datetime64[s]"),
        "berlin": pd.Series(pd.to_datetime([moment, None], utc=True)).dt.tz_convert(
            "Europe/Berlin"
        ),
    }
    made = TimestampEncoder().fit_transform(pd.DataFrame(columns))
    assert made[0].tolist() == [90_000.0] * 3
    assert np.isnan(made[1]).all()

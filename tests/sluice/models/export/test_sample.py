"""The parity sample: few rows, features only, every number is read back exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.model import Problem
from sluice.errors import ModelDamaged
from sluice.models.export.onnx_export import SAMPLE_ROWS, ParitySample, choose_rows, make_sample
from sluice.models.prediction import predict
from sluice.stats.parity import measure_parity

KINDS: list[Problem] = ["binary", "multiclass", "regression"]


@pytest.mark.parametrize("problem", KINDS)
def test_predictions_are_read_back_exactly(
    rows: Callable[..., pd.DataFrame], data: Any, fitted: Any, problem: Problem
) -> None:
    pipeline = fitted(problem, rows(problem), "random_forest")
    chosen = choose_rows(rows(problem, seed=8))
    predictions = predict(pipeline, chosen, data(problem), problem)
    sample = ParitySample.from_json(make_sample(chosen, predictions, data(problem)).to_json())
    found = measure_parity(predictions, sample.predictions)
    assert (found.n, found.difference, found.flips, found.missing) == (SAMPLE_ROWS, 0.0, 0, "")


def test_neither_id_nor_target_is_kept_and_nulls_are_null(
    rows: Callable[..., pd.DataFrame], data: Any, fitted: Any
) -> None:
    frame = rows("binary")
    pipeline = fitted("binary", frame, "linear")
    predictions = predict(pipeline, frame, data("binary"), "binary")
    sample = make_sample(frame, predictions, data("binary"))
    assert {name for record in sample.records for name in record} == set(data("binary").features)
    for name in ("size", "town", "member", "since"):
        nulls = [record[name] is None for record in sample.records]
        assert nulls == frame[name].isna().tolist()
    assert sample.records[0]["since"] is None or sample.records[0]["since"].endswith("Z")
    assert {type(record["count"]) for record in sample.records} == {int}


def test_rows_are_spread_evenly() -> None:
    frame = pd.DataFrame({"at": np.arange(1000)})
    chosen = choose_rows(frame)["at"].to_numpy()
    assert (len(chosen), chosen[0], chosen[-1]) == (SAMPLE_ROWS, 0, 999)
    assert np.ptp(np.diff(chosen)) <= 1
    assert len(choose_rows(frame.head(3))) == 3
    assert len(choose_rows(frame.head(0))) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"records": 5}', "\x00"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ModelDamaged, match=r"parity_sample\.json is not a parity sample"):
        ParitySample.from_json(text)

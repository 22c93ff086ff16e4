"""The error model's tables predict what scikit-learn's trees do, from the features alone."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from sklearn.ensemble import HistGradientBoostingRegressor

from sluice.config.data import DataConfig
from sluice.drift.performance import error_model
from sluice.drift.performance.error_model import ErrorModel, fit_error_model

DATA = DataConfig(
    id="key",
    target="paid",
    columns={
        "key": "integer",
        "age": "integer",
        "size": "number",
        "town": "text",
        "flag": "boolean",
        "seen": "timestamp",
        "paid": "number",
    },
    features=("age", "size", "town", "flag", "seen"),
    suite="none",
)


def draw(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Draw rows, predictions, and errors that depend on town and size."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 70, n),
            "size": np.where(random.random(n) < 0.1, np.nan, random.normal(0, 1, n)),
            "town": random.choice(["a", "b", "c", None], n),
            "flag": random.choice([True, False, None], n),
            "seen": pd.to_datetime(random.integers(0, 10**9, n), unit="s", utc=True),
        }
    )
    scale = 1 + 4 * (frame["town"] == "b") + np.abs(frame["size"].fillna(3.0))
    errors = np.abs(random.normal(0, 1, n)) * scale.to_numpy()
    return frame, random.normal(0, 1, n), errors


@pytest.fixture(scope="module")
def model() -> ErrorModel:
    return fit_error_model(DATA, *draw(2_000, 1))


def test_tables_predict_what_the_trees_do(model: ErrorModel) -> None:
    frame, predictions, errors = draw(2_000, 1)
    numbers = error_model._read_numbers(model.features, frame, predictions)
    oracle = HistGradientBoostingRegressor(
        max_iter=error_model.TREES,
        max_leaf_nodes=error_model.LEAVES,
        min_samples_leaf=error_model.LEAST_LEAF,
        early_stopping=False,
        random_state=0,
    ).fit(numbers, errors)
    expected = np.maximum(oracle.predict(numbers), 0.0)
    np.testing.assert_allclose(model.predict(frame, predictions), expected, rtol=1e-9)


def test_document_is_plain_json_and_reads_back_the_same(model: ErrorModel) -> None:
    adapter = TypeAdapter(ErrorModel)
    text = json.dumps(adapter.dump_python(model, mode="json"), allow_nan=False)
    assert adapter.validate_python(json.loads(text)) == model
    assert len(text) < 300_000


def test_mean_error_of_other_rows_is_estimated(model: ErrorModel) -> None:
    frame, predictions, errors = draw(4_000, 2)
    in_town = (frame["town"] == "b").to_numpy()
    for rows in (in_town, ~in_town):
        guess = model.predict(frame[rows], predictions[rows]).mean()
        reach = 4 * errors[rows].std() / np.sqrt(rows.sum()) + 0.15
        assert guess == pytest.approx(errors[rows].mean(), abs=reach)


def test_unknown_levels_and_nulls_have_finite_errors(model: ErrorModel) -> None:
    nulls = {name: [None, None] for name in DATA.features}
    unknown = pd.DataFrame({**nulls, "town": ["new", "b"], "age": [40, 1e300]})
    found = model.predict(unknown, np.array([0.0, 1e300]))
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_spread_is_that_of_rows_that_were_not_fitted(model: ErrorModel) -> None:
    frame, predictions, errors = draw(4_000, 3)
    lost = errors - model.predict(frame, predictions)
    assert model.spread == pytest.approx(np.sqrt(np.mean(lost**2)), rel=0.1)

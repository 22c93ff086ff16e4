"""Difficult rows: nulls of every kind, rare and unseen text, numbers beyond float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from sluice.config.data import DataConfig
from sluice.config.model import ModelConfig, Problem
from sluice.models.training import fit_model

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
COLUMNS = {
    "id": "integer",
    "size": "number",
    "count": "integer",
    "town": "text",
    "member": "boolean",
}
COLUMNS |= {"since": "timestamp", "colour": "text"}
SMALL = {"linear": {}, "random_forest": {"trees": 12}, "hist_gradient_boosting": {"iterations": 12}}
ROWS = 900
START = np.datetime64("2020-01-01T00:00:00.000001", "us")


def make_data(problem: Problem) -> DataConfig:
    columns = {**COLUMNS, "y": "number" if problem == "regression" else "text"}
    values = {"id": "id", "target": "y", "suite": "none", "positive": "b", "columns": columns}
    features = [name for name in COLUMNS if name != "id"]
    return DataConfig.model_validate({**values, "features": features})


def make_frame(problem: Problem, seed: int = 5) -> pd.DataFrame:
    """Return rows whose text columns have nulls, rare values and an unordered effect."""
    draw = np.random.default_rng(seed)
    towns = draw.choice(
        ["ayr", "bute", "crail", "deal", "ely"], ROWS, p=[0.3, 0.3, 0.2, 0.19, 0.01]
    )
    frame = pd.DataFrame(
        {
            "id": range(ROWS),
            "size": draw.normal(size=ROWS),
            "count": draw.integers(2**24, 2**24 + 50, ROWS),
            "town": pd.Series(towns, dtype="str").where(draw.random(ROWS) > 0.05),
            "member": pd.Series(draw.random(ROWS) > 0.4, dtype=object),
            "since": START + draw.integers(0, 10**14, ROWS).astype("timedelta64[us]"),
            "colour": pd.Series(draw.choice([f"c{i}" for i in range(30)], ROWS), dtype="str"),
        }
    )
    truth = frame["size"] * 2 + frame["town"].map({"ayr": 2, "bute": -2, "crail": 2}).fillna(0)
    truth += (frame["count"] % 7 > 3) + draw.normal(size=ROWS) * 0.3
    frame.loc[draw.random(ROWS) < 0.1, "size"] = np.nan
    frame.loc[draw.random(ROWS) < 0.1, "member"] = None
    frame.loc[draw.random(ROWS) < 0.1, "since"] = pd.NaT
    edges = {"binary": [0.5], "multiclass": [-0.5, 1.5], "regression": []}[problem]
    names = np.array(["a", "b", "c"], dtype=object)
    frame["y"] = truth if problem == "regression" else names[np.digitize(truth, edges)]
    return frame


def fit(problem: Problem, frame: pd.DataFrame, kind: str, **options: object) -> Any:
    model = MODEL.validate_python({"kind": kind, "seed": 3, **SMALL[kind], **options})
    return fit_model(problem, model, make_data(problem), frame, frame["y"])


@pytest.fixture
def rows() -> Callable[..., pd.DataFrame]:
    """Return difficult rows of a problem."""
    return make_frame


@pytest.fixture
def data() -> Callable[[Problem], DataConfig]:
    """Return the configuration of a problem's columns."""
    return make_data


@pytest.fixture
def fitted() -> Callable[..., Any]:
    """Return a small fitted pipeline of a kind."""
    return fit

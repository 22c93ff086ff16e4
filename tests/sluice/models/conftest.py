"""Real data for the models: the census years, wines and diabetes patients."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from sklearn.datasets import load_diabetes, load_wine

from sluice.config.data import DataConfig
from sluice.config.loading import load_service
from sluice.config.model import ModelConfig, Problem
from sluice.home import SAMPLES

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


@dataclass(frozen=True, eq=False)
class Case:
    """A problem with its rows and the configuration of its columns."""

    problem: Problem
    data: DataConfig
    frame: pd.DataFrame

    @property
    def y(self) -> pd.Series:
        return self.frame[self.data.target]


@cache
def read_year(year: int) -> pd.DataFrame:
    return pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet")


@cache
def load_case(problem: Problem) -> Case:
    if problem == "binary":
        data = load_service("employment", "development").data
        return Case(problem, data, read_year(2015).head(1_500).copy())
    bunch = load_wine(as_frame=True) if problem == "multiclass" else load_diabetes(as_frame=True)
    frame = bunch.frame.rename(columns={"target": "answer"})
    if problem == "multiclass":
        frame["answer"] = np.array(["barolo", "grignolino", "barbera"], dtype=object)[frame.answer]
    features = [name for name in frame.columns if name != "answer"]
    columns = {name: "number" for name in features}
    columns |= {"row": "integer", "answer": "text" if problem == "multiclass" else "number"}
    frame["row"] = range(len(frame))
    values = {"id": "row", "target": "answer", "suite": "none"}
    data = DataConfig.model_validate({**values, "columns": columns, "features": features})
    return Case(problem, data, frame)


def make_model(kind: str, **options: object) -> ModelConfig:
    small = {
        "linear": {},
        "random_forest": {"trees": 15},
        "hist_gradient_boosting": {"iterations": 15},
    }
    return MODEL.validate_python({"kind": kind, "seed": 3, **small[kind], **options})


@pytest.fixture
def case() -> Callable[[Problem], Case]:
    """Return a problem's case; its frame is shared, so copy before you change it."""
    return load_case


@pytest.fixture
def model() -> Callable[..., ModelConfig]:
    """Return a small model of a kind."""
    return make_model


@pytest.fixture
def year() -> Callable[[int], pd.DataFrame]:
    """Return one survey year of the default service."""
    return read_year

"""A small model of the three problems, and one in a cache."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from serving.cache import Entry, ModelCache
from serving_support import describe_model, write_model_files
from sluice.config.data import DataConfig
from sluice.config.model import ModelConfig
from sluice.models.training import fit_model

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
COLUMNS = {"id": "integer", "size": "number", "town": "text", "here": "boolean", "y": "text"}
DATA = DataConfig.model_validate(
    {
        "id": "id",
        "target": "y",
        "positive": "yes",
        "columns": COLUMNS,
        "features": ["size", "town", "here"],
        "suite": "none",
    }
)


@dataclass(frozen=True)
class Towns:
    """A model's files, its pipeline, and rows that it never saw."""

    folder: Path
    pipeline: Any
    asked: pd.DataFrame
    data: DataConfig = DATA


def make_rows(seed: int, rows: int = 600) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    size = draw.normal(size=rows)
    towns = draw.choice(["ayr", "bute", "crail"], rows)
    truth = size + (towns == "bute") + draw.normal(size=rows) * 0.3 > 0.4
    frame = pd.DataFrame({"id": range(rows), "size": size, "town": pd.Series(towns, dtype="str")})
    frame["here"] = pd.Series(draw.random(rows) > 0.5, dtype=object)
    frame.loc[::7, "size"] = np.nan
    frame.loc[::5, "town"] = None
    frame["y"] = np.where(truth, "yes", "no").astype(object)
    return frame


@cache
def fit_towns(kind: str, **options: Any) -> Any:
    model = MODEL.validate_python({"kind": kind, "seed": 3, **options})
    frame = make_rows(1)
    return fit_model("binary", model, DATA, frame, frame["y"])


@pytest.fixture(scope="session")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Towns:
    """A small gradient boosting on texts, numbers, booleans and nulls."""
    pipeline, asked = fit_towns("hist_gradient_boosting", iterations=15), make_rows(2)
    folder = tmp_path_factory.mktemp("towns")
    return Towns(write_model_files(folder, pipeline, asked, DATA, "binary"), pipeline, asked)


@pytest.fixture
def models(tmp_path: Path) -> ModelCache:
    """An empty cache."""
    return ModelCache(tmp_path / "models")


@pytest.fixture
def kept(models: ModelCache, towns: Towns) -> Entry:
    """The small model in the cache, published as version 1 of `towns`."""
    entry = models.keep(describe_model(DATA, "binary"), towns.folder)
    models.publish(entry)
    return entry

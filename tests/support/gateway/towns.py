"""Rows of a small problem, and models of it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

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
    """A model's files, its pipeline, and held-out rows."""

    folder: Path
    pipeline: Any
    held_out: pd.DataFrame
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

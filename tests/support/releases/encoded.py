"""Rows whose columns become several numbers: dates, sentences, many values; and models of them."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from sluice.config.data import DataConfig
from sluice.config.model import ModelConfig, Problem
from sluice.models.training import fit_model

MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
SMALL = {"linear": {}, "random_forest": {"trees": 12}, "hist_gradient_boosting": {"iterations": 12}}
PROBLEMS: tuple[Problem, ...] = ("binary", "multiclass", "regression")
COLUMNS = {
    **{"id": "integer", "seen": "timestamp", "size": "number", "hired": "timestamp"},
    **{"opened": "text", "shop": "text", "note": "text", "hue": "text", "member": "boolean"},
}
ENCODINGS = {
    **{"seen": "calendar", "hired": "date", "opened": "date", "shop": "target", "note": "text"},
}
ROWS = 900
WORDS = ["late", "broken", "kind", "quick", "lost", "größe", "naïve", "日本", "straße", "x1"]
ODD = ["", " ", "zennor", "İstanbul ǅ ﬃ", "late late late", "🙂 🙂", "a" * 5000, "LATE\nbroken\tx1"]


def make_data(problem: Problem, **encodings: str) -> DataConfig:
    columns = {**COLUMNS, "y": "number" if problem == "regression" else "text"}
    values = {"id": "id", "time": "seen", "target": "y", "suite": "none", "positive": "b"}
    features = [name for name in COLUMNS if name != "id"]
    return DataConfig.model_validate(
        {**values, "columns": columns, "features": features, "encodings": encodings or ENCODINGS}
    )


@cache
def make_frame(problem: Problem, seed: int = 5) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    seen = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(
        draw.integers(0, 4 * 10**13, ROWS), unit="us"
    )
    hired = seen - pd.to_timedelta(draw.integers(0, 10**15, ROWS), unit="us")
    opened = pd.Series(hired.strftime("%Y-%m-%d").to_numpy(), dtype="str")
    notes = [" ".join(draw.choice(WORDS, draw.integers(1, 9))) for _ in range(ROWS)]
    frame = pd.DataFrame(
        {
            "id": range(ROWS),
            "seen": seen,
            "size": draw.normal(size=ROWS),
            "hired": hired,
            "opened": opened.where(draw.random(ROWS) > 0.05),
            "shop": pd.Series(draw.choice([f"shop {at}" for at in range(90)], ROWS), dtype="str"),
            "note": pd.Series(notes, dtype="str").where(draw.random(ROWS) > 0.05),
            "hue": pd.Series(draw.choice(["red", "blue"], ROWS), dtype="str"),
            "member": pd.Series(draw.random(ROWS) > 0.4, dtype=object),
        }
    )
    truth = frame["size"] + (frame["seen"].dt.hour > 17) + frame["note"].str.contains("late") * 2.0
    truth = truth.astype(float).fillna(0.0) + draw.normal(size=ROWS) * 0.2
    frame.loc[draw.random(ROWS) < 0.1, "hired"] = pd.NaT
    frame.loc[draw.random(ROWS) < 0.1, "shop"] = None
    edges = {"binary": [0.8], "multiclass": [0.0, 1.5], "regression": []}[problem]
    names = np.array(["a", "b", "c"], dtype=object)
    frame["y"] = truth if problem == "regression" else names[np.digitize(truth, edges)]
    return frame


def make_unseen(problem: Problem) -> pd.DataFrame:
    """Return rows unlike the training rows: odd texts, unknown shops, nulls, moments far away."""
    frame = make_frame(problem, seed=6).copy()
    for at, odd in enumerate(ODD):
        frame.loc[at :: 3 * len(ODD), ["note", "shop", "hue"]] = odd
    frame.loc[::7, "opened"] = "no date"
    frame.loc[::11, "opened"] = "1931-02-03T23:59:59.999999+02:00"
    frame.loc[::5, "seen"] = pd.NaT
    frame.loc[::13, "hired"] = pd.Timestamp("1902-12-31T23:00:00", tz="UTC")
    frame.loc[::17, "hired"] = pd.Timestamp("2199-02-28T00:00:00.000001", tz="UTC")
    return frame


@cache
def fit(problem: Problem, kind: str) -> Any:
    model = MODEL.validate_python({"kind": kind, "seed": 3, **SMALL[kind]})
    frame = make_frame(problem)
    return fit_model(problem, model, make_data(problem), frame, frame["y"])


def make_ngram_data(problem: Problem) -> DataConfig:
    return make_data(problem, **{**ENCODINGS, "note": "ngrams", "shop": "ngrams"})


@cache
def fit_ngrams(problem: Problem) -> Any:
    frame = make_frame(problem)
    return fit_model(
        problem, MODEL.validate_python({"kind": "linear"}), make_ngram_data(problem), frame,
        frame["y"],
    )  # fmt: skip

"""The trial measures what features add, on training rows."""

import numpy as np
import pandas as pd
import pytest

from sluice.config.data import ColumnKind, DataConfig
from sluice.config.model import Problem
from sluice.profile.trial import run_trial

N = 1500
GENERATOR = np.random.default_rng(5)
SIZE = GENERATOR.normal(size=N)
CHANCE = GENERATOR.random(N)
NOISE, ERROR = GENERATOR.normal(size=(2, N))


def describe(kind: ColumnKind) -> DataConfig:
    return DataConfig(
        id="key",
        target="target",
        columns={"key": "integer", "size": "number", "noise": "number", "target": kind},
        features=("size", "noise"),
        suite="none",
    )


def frame_of(target: "np.ndarray") -> pd.DataFrame:  # type: ignore[type-arg]
    return pd.DataFrame({"key": np.arange(N), "size": SIZE, "noise": NOISE, "target": target})


@pytest.mark.parametrize(
    ("problem", "kind", "target", "trivial"),
    [
        ("binary", "integer", (1 / (1 + np.exp(-2 * SIZE)) > CHANCE).astype(int), 0.5),
        ("multiclass", "integer", np.digitize(SIZE + NOISE / 2, [-1.0, 1.0]), None),
        ("regression", "number", 3 * SIZE + ERROR, None),
    ],
)
def test_informative_features_gain(
    problem: Problem,
    kind: ColumnKind,
    target: "np.ndarray",
    trivial: float | None,  # type: ignore[type-arg]
) -> None:
    trial = run_trial(frame_of(target), describe(kind), problem)
    assert all(figure.gain > 0.05 for figure in trial.figures)
    assert trial.spread > 0.0
    assert trivial is None or trial.primary.trivial == trivial
    assert (trial.slope is not None) is (problem == "binary")


def test_uninformative_features_do_not_gain() -> None:
    trial = run_trial(frame_of((CHANCE < 0.3).astype(int)), describe("integer"), "binary")
    assert abs(trial.primary.gain) < 0.08


def test_a_straight_line_is_fitted_by_the_linear_model() -> None:
    trial = run_trial(frame_of(3 * SIZE + ERROR), describe("number"), "regression")
    assert trial.model.kind == "linear"
    assert trial.primary.model.value == pytest.approx(1.0, abs=0.1)  # the error's own deviation

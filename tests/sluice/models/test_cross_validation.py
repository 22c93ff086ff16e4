"""Out-of-fold predictions: complete, in the rows' order, and blind to the row's own target."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.service import ServiceConfig
from sluice.data.folds import assign_folds, mark_training
from sluice.errors import TrainingImpossible
from sluice.models.cross_validation import FoldRows, OutOfFold, predict_out_of_fold


def configure(problem: str, **split: Any) -> ServiceConfig:
    primary = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}[problem]
    kind = "number" if problem == "regression" else "text"
    columns = {"id": "integer", "x": "number", "noise": "number", "y": kind}
    return ServiceConfig.model_validate(
        {
            "service": "small",
            "description": "A few rows.",
            "problem": problem,
            "data": {
                "id": "id", "target": "y", "positive": "b", "columns": columns,
                "features": ["x", "noise"], "suite": "none",
            },
            "split": {"folds": 5, **split},
            "model": {"kind": "random_forest", "trees": 20, "min_leaf": 1},
            "evaluation": {"primary": primary},
            "bias": {"sensitive": "none", "reason": "made up"},
        }
    )  # fmt: skip


def make_rows(problem: str, n: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(n), "x": random.normal(size=n)})
    frame["noise"] = random.normal(size=n)
    if problem == "regression":
        return frame.assign(y=3.0 * frame["x"])
    values = np.array(["a", "b", "c"][: 2 if problem == "binary" else 3], dtype=object)
    return frame.assign(y=values[np.digitize(frame["x"], [0.0, 1.0][: len(values) - 1])])


def score(config: ServiceConfig, frame: pd.DataFrame) -> OutOfFold:
    folds = assign_folds(frame, config.data, config.split)
    parts = (
        FoldRows(
            frame[mark_training(folds, fold, frame, frame, config.data)],
            frame[folds.numbers == fold],
            np.flatnonzero(folds.numbers == fold),
        )
        for fold in range(config.split.folds)
    )
    return predict_out_of_fold(config, parts, len(frame))


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_each_row_has_its_own_prediction(problem: str) -> None:
    config, frame = configure(problem), make_rows(problem)
    found = score(config, frame).predictions
    if problem == "regression":
        assert np.corrcoef(found.labels.astype(float), frame["y"])[0, 1] > 0.95
    else:
        assert (found.labels == frame["y"]).mean() > 0.9
        scores = np.asarray(found.scores)
        assert scores.shape == ((300,) if problem == "binary" else (300, 3))
        assert (scores >= 0).all()


def test_a_target_without_reason_is_not_learned_from_the_row_itself() -> None:
    """A forest remembers its training rows; out of fold it knows nothing of a random target."""
    config, frame = configure("binary"), make_rows("binary")
    frame["y"] = np.random.default_rng(1).choice(np.array(["a", "b"], dtype=object), len(frame))
    assert (score(config, frame).predictions.labels == frame["y"]).mean() < 0.62


def test_a_class_that_a_fold_has_not_seen_has_probability_nothing_there() -> None:
    config, frame = configure("multiclass"), make_rows("multiclass")
    frame["y"] = np.where(frame["x"] > 0, "b", "a").astype(object)
    folds = assign_folds(frame, config.data, config.split)
    rare = np.flatnonzero(folds.numbers == 2)[:6]
    frame.loc[rare, "y"] = "z"
    found = score(config, frame).predictions
    assert "z" in found.classes
    scores = np.asarray(found.scores)
    assert scores[rare, found.classes.index("z")].max() == 0.0
    assert scores.sum(axis=1) == pytest.approx(1.0)


def test_a_fold_without_a_model_is_named() -> None:
    config, frame = configure("binary"), make_rows("binary")
    folds = assign_folds(frame, config.data, config.split)
    frame["y"] = np.where(folds.numbers == 3, "b", "a").astype(object)
    with pytest.raises(TrainingImpossible, match=r"outside fold 4 of split\.folds"):
        score(config, frame)

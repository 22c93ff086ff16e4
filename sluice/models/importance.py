"""Permutation importance: how much a model depends on each feature."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.models.rows import find_positive, select_features
from sluice.models.threads import limit_threads

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2000
REPEATS = 5


@dataclass(frozen=True)
class Importance:
    """The loss from shuffling one feature: the mean and standard deviation over repeats.

    `figure` names the figure that falls, in its own unit: area under the ROC curve (binary),
    accuracy (multiclass) or R2 (regression); `n` is the number of rows it was measured on.
    """

    feature: str
    mean: float
    deviation: float
    figure: str
    n: int


def measure_importance(
    pipeline: Any, frame: "pd.DataFrame", data: DataConfig, seed: int, rows: int = ROWS
) -> tuple[Importance, ...]:
    """Measure each feature's permutation importance on held-out rows, largest first.

    At most `rows` rows are drawn, with a seed. Empty where the figure is undefined: fewer than two
    rows, or one class only.

    Raises:
        DataInvalid: a feature column is absent.
    """
    from sklearn.inspection import permutation_importance

    sample = frame.sample(min(rows, len(frame)), random_state=seed)
    target = sample[data.target].to_numpy()
    if len(sample) < 2 or len(np.unique(target)) < 2:
        return ()
    figure, score = _choose_figure(pipeline, data)
    with limit_threads(len(sample)):
        model, X, names = _prepare_columns(pipeline, sample, data)
        found = permutation_importance(
            model, X, target, scoring=score, n_repeats=REPEATS, random_state=seed, n_jobs=1
        )
    measured = [
        Importance(name, float(mean), float(deviation), figure, len(sample))
        for name, mean, deviation in zip(
            names, found.importances_mean, found.importances_std, strict=True
        )
    ]
    return tuple(sorted(measured, key=lambda item: (-item.mean, item.feature)))


def find_problem(pipeline: Any) -> Problem:
    """Return the kind of problem that a fitted pipeline solves."""
    if not hasattr(pipeline[-1], "classes_"):
        return "regression"
    return "binary" if hasattr(pipeline[-1], "threshold") else "multiclass"


def _prepare_columns(
    pipeline: Any, sample: "pd.DataFrame", data: DataConfig
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return the model to score, the columns to shuffle and the names of their features.

    Where each feature becomes one prepared column, that column is shuffled, and the features are
    prepared once instead of for every shuffle.
    """
    X = select_features(sample, data)
    names = tuple(pipeline[0].get_feature_names_out())
    if sorted(names) != sorted(data.features):
        return pipeline, X, data.features
    return pipeline[-1], pipeline[0].transform(X), names


def _choose_figure(pipeline: Any, data: DataConfig) -> tuple[str, Callable[[Any, Any, Any], float]]:
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    problem = find_problem(pipeline)
    if problem == "regression":
        return "R2", lambda model, X, y: float(r2_score(y, model.predict(X)))
    if problem == "multiclass":
        return "accuracy", lambda model, X, y: float(accuracy_score(y, model.predict(X)))
    positive = find_positive(pipeline.classes_, data.positive)

    column = pipeline.classes_.tolist().index(positive)

    def measure_auc(model: Any, X: Any, y: Any) -> float:
        return float(roc_auc_score(y == positive, model.predict_proba(X)[:, column]))

    return "AUC", measure_auc

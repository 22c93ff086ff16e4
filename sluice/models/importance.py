"""Permutation importance: how much a model depends on each feature."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.config.model import Problem
from sluice.models.features import list_encoded
from sluice.models.rows import find_positive, select_features
from sluice.models.threads import limit_threads

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2000
REPEATS = 5
MOST_NUMBERS = 20_000_000
"""Most prepared numbers that are kept, 160 MB."""


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

    Features are prepared once instead of for every shuffle. Where each becomes one prepared column,
    that column is shuffled; else the rows' numbers are, from which a feature's columns are taken.
    """
    X = select_features(sample, data)
    names = tuple(pipeline[0].get_feature_names_out())
    if sorted(names) == sorted(data.features):
        return pipeline[-1], pipeline[0].transform(X), names
    if list_encoded(data, "ngrams"):  # thousands of columns each
        return pipeline, X, data.features
    blocks = _find_blocks(pipeline[0], data)
    width = sum(len(places) for places in blocks.values())
    if width * len(sample) > MOST_NUMBERS:
        return pipeline, X, data.features
    prepared = pipeline[0].transform(X)
    prepared = prepared.toarray() if hasattr(prepared, "toarray") else prepared
    rows = np.tile(np.arange(len(sample))[:, np.newaxis], len(blocks))
    return _BlockModel(pipeline[-1], prepared, tuple(blocks.values())), rows, tuple(blocks)


def _find_blocks(features: Any, data: DataConfig) -> dict[str, list[int]]:
    """Return the places of each feature's prepared columns."""
    from sluice.models.export.reading import read_preprocessing

    blocks: dict[str, list[int]] = {}
    start = 0
    for column in read_preprocessing(features, data).columns:
        blocks.setdefault(column.name, []).extend(range(start, start + column.outputs))
        start += column.outputs
    return blocks


@dataclass(frozen=True, eq=False)
class _BlockModel:
    """A model on prepared rows: its input has, for each feature, the row to take it from."""

    model: Any
    prepared: NDArray[np.float64]
    blocks: tuple[list[int], ...]

    def fit(self, X: Any, y: Any) -> "_BlockModel":
        """Return the model; scikit-learn asks for the method and never calls it."""
        return self

    def predict(self, X: Any) -> Any:
        """Return predictions, shape (n,)."""
        return self.model.predict(self._take(X))

    def predict_proba(self, X: Any) -> Any:
        """Return probabilities, shape (n, classes)."""
        return self.model.predict_proba(self._take(X))

    def _take(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        taken = np.empty((len(rows), self.prepared.shape[1]))
        for feature, places in enumerate(self.blocks):
            taken[:, places] = self.prepared[rows[:, feature]][:, places]
        return taken


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

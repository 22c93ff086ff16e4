"""Out-of-fold predictions: each row is predicted by a model that was not fitted on it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.service import ServiceConfig
from sluice.errors import TrainingImpossible
from sluice.models.prediction import predict
from sluice.models.training import fit_model, reweigh
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FoldRows:
    """One fold: the rows to fit on, the rows to predict, and their places among all predictions."""

    training: "pd.DataFrame"
    test: "pd.DataFrame"
    places: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions for all rows, with the last fold's pipeline and the rows that it predicted."""

    predictions: Predictions
    pipeline: Any
    test: "pd.DataFrame"


def fit_configured(config: ServiceConfig, frame: "pd.DataFrame", **options: Any) -> Any:
    """Fit the model that a configuration describes, with its weights, on the rows of a frame.

    Raises:
        TrainingImpossible: no model can be trained on the rows.
    """
    target = frame[config.data.target]
    weights = None
    if config.bias.mitigation == "reweigh":
        weights = reweigh(frame[list(config.bias.columns)], target)
    return fit_model(config.problem, config.model, config.data, frame, target, weights, **options)


def predict_out_of_fold(config: ServiceConfig, folds: Iterable[FoldRows], n: int) -> OutOfFold:
    """Fit the configured model for each fold, and return the predictions of `n` rows.

    Raises:
        TrainingImpossible: no model can be trained outside some fold.
    """
    found: list[tuple[FoldRows, Predictions]] = []
    pipeline: Any = None
    for number, rows in enumerate(folds, start=1):
        try:
            pipeline = fit_configured(config, rows.training)
        except TrainingImpossible as error:
            raise TrainingImpossible(f"outside fold {number} of split.folds: {error}") from error
        found.append((rows, predict(pipeline, rows.test, config.data, config.problem)))
    return OutOfFold(_join(found, n), pipeline, found[-1][0].test)


def _join(found: list[tuple[FoldRows, Predictions]], n: int) -> Predictions:
    """Put each fold's predictions at their places; a class that a fold lacks has probability 0."""
    kind = np.result_type(*(one.labels.dtype for _, one in found))
    labels = np.empty(n, dtype=kind)
    classes = tuple(dict.fromkeys(value for _, one in found for value in one.classes))
    first = found[0][1].scores
    scores = None
    if first is not None:
        scores = np.zeros(n if first.ndim == 1 else (n, len(classes)))
    for rows, one in found:
        labels[rows.places] = one.labels
        if scores is None or one.scores is None:
            continue
        if scores.ndim == 1:
            scores[rows.places] = one.scores
        else:
            for column, value in enumerate(one.classes):
                scores[rows.places, classes.index(value)] = one.scores[:, column]
    return Predictions(labels, scores, classes)

"""Gradient boosting on one part of the trial's rows: a model is fitted once for all its lengths.

The first iterations of a long fit are those of a short one with the same options and seed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.config.model import HistGradientBoosting, Problem
from sluice.models.estimators.kinds import build_parts
from sluice.models.prediction import find_column
from sluice.models.rows import check_training_rows, find_positive, select_features
from sluice.models.threads import limit_threads
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    import pandas as pd

LEAST_MEMBERS = 2
"""Fewest rows of a class that a fit takes."""
PATIENCE = 15
"""Iterations without a smaller error on rows set aside, after which boosting ends."""
THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class TrialRows:
    """Rows to fit on, and rows set aside to compare on."""

    problem: Problem
    data: DataConfig
    fitted: "pd.DataFrame"
    aside: "pd.DataFrame"


@dataclass(frozen=True, eq=False)
class _Prepared:
    """Features and targets of both kinds of rows; `y` and `known` have the target's own unit."""

    X: Any
    y: NDArray[Any]
    aside: Any
    known: NDArray[Any]


class BoostedRows:
    """The fits of gradient boosting on rows.

    `most` has the iterations of the models that are fitted until the error on the rows set aside
    no longer falls.
    """

    def __init__(self, rows: TrialRows, most: Mapping[HistGradientBoosting, int]) -> None:
        self._rows, self._most = rows, most
        self._prepared: dict[int, _Prepared] = {}
        self._fits: dict[HistGradientBoosting, Any] = {}

    def predict_best(self, model: HistGradientBoosting) -> tuple[int, Predictions]:
        """Return the best number of iterations, and the predictions of the fit that found it.

        Raises:
            TrainingImpossible: the model cannot be trained on the rows.
        """
        estimator = self._fit_until_best(model)
        best = int(np.argmax(estimator.validation_score_))
        return max(best, 1), self._predict(model, estimator)

    def predict_whole(self, model: HistGradientBoosting) -> Predictions:
        """Return the predictions of a fit with all iterations of the model.

        Raises:
            TrainingImpossible: the model cannot be trained on the rows.
        """
        if model in self._most:
            predictions = self._predict(model, *self._fit_further(model))
        else:
            predictions = self._predict(model, self._fit(model, self._build(model)))
        if self._rows.problem != "binary":
            return predictions
        labels = self._choose_labels(model, predictions)
        return Predictions(labels, predictions.scores, predictions.classes)

    def _fit_until_best(self, model: HistGradientBoosting) -> Any:
        if model not in self._fits:
            estimator = self._build(model).set_params(
                max_iter=self._most[model],
                early_stopping=True,
                n_iter_no_change=PATIENCE,
                scoring="loss",
            )
            prepared = self._prepare(model)
            known = _transform_target(model, prepared.known)
            self._fits[model] = self._fit(model, estimator, X_val=prepared.aside, y_val=known)
        return self._fits[model]

    def _fit_further(self, model: HistGradientBoosting) -> tuple[Any, int]:
        """Return an estimator with at least the model's iterations, and their number."""
        estimator = self._fit_until_best(model)
        if estimator.n_iter_ >= model.iterations:
            return estimator, model.iterations
        from copy import deepcopy

        longer = deepcopy(estimator).set_params(
            max_iter=model.iterations, early_stopping=False, warm_start=True
        )
        return self._fit(model, longer), model.iterations

    def _fit(self, model: HistGradientBoosting, estimator: Any, **aside: Any) -> Any:
        prepared = self._prepare(model)
        with limit_threads(len(prepared.y)):
            return estimator.fit(prepared.X, _transform_target(model, prepared.y), **aside)

    def _build(self, model: HistGradientBoosting) -> Any:
        return build_parts(self._rows.problem, model, self._rows.data).estimator

    def _prepare(self, model: HistGradientBoosting) -> _Prepared:
        """Return the rows' features, which depend on nothing of the model but its seed."""
        if model.seed not in self._prepared:
            data, rows = self._rows.data, self._rows
            features = build_parts(rows.problem, model, data).features
            target = rows.fitted[data.target]
            y = check_training_rows(rows.problem, data, rows.fitted, target, LEAST_MEMBERS)
            with limit_threads(len(y)):
                X = features.fit_transform(select_features(rows.fitted, data), y)
                aside = features.transform(select_features(rows.aside, data))
            known = np.asarray(rows.aside[data.target].to_numpy(dtype=y.dtype))
            self._prepared[model.seed] = _Prepared(X, y, aside, known)
        return self._prepared[model.seed]

    def _predict(self, model: HistGradientBoosting, estimator: Any, stage: int = 0) -> Predictions:
        """Return predictions of the rows set aside, after so many iterations; 0: after all."""
        X, problem = self._prepare(model).aside, self._rows.problem
        with limit_threads(len(X)):
            if stage and stage < estimator.n_iter_:
                labels = _take(estimator.staged_predict(X), stage)
            else:
                labels = estimator.predict(X)
            if problem == "regression":
                values = np.asarray(labels, dtype=np.float64)
                return Predictions(np.expm1(values) if _is_logarithm(model) else values)
            if stage and stage < estimator.n_iter_:
                scores = _take(estimator.staged_predict_proba(X), stage)
            else:
                scores = estimator.predict_proba(X)
        classes = estimator.classes_
        if problem == "binary":
            scores = scores[:, find_column(classes, self._rows.data.positive)]
        return Predictions(labels, np.asarray(scores, dtype=np.float64), tuple(classes.tolist()))

    def _choose_labels(self, model: HistGradientBoosting, predictions: Predictions) -> NDArray[Any]:
        """Return the labels at the threshold that a trained model has."""
        positive = find_positive(np.unique(self._prepare(model).y), self._rows.data.positive)
        other = next(value for value in predictions.classes if value != positive)
        values = np.empty(len(predictions.labels), dtype=predictions.labels.dtype)
        chosen = np.asarray(predictions.scores) >= THRESHOLD
        values[chosen], values[~chosen] = positive, other
        return values


def _is_logarithm(model: HistGradientBoosting) -> bool:
    return model.target_transform == "log"


def _transform_target(model: HistGradientBoosting, y: NDArray[Any]) -> NDArray[Any]:
    return np.log1p(y.astype(np.float64)) if _is_logarithm(model) else y


def _take(stages: Iterator[Any], stage: int) -> Any:
    return next(islice(stages, stage - 1, None))

"""Fitting of a service's model: features, weights, estimator, calibration, threshold."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.data import DataConfig
from sluice.config.model import FalsePositives, ModelConfig, Problem
from sluice.errors import TrainingImpossible
from sluice.models.estimators.kinds import build_parts
from sluice.models.learner import (
    FOLDS,
    Fit,
    fit_estimator,
    fit_with_rate,
    fit_with_threshold,
)
from sluice.models.rows import check_training_rows, find_positive, select_features
from sluice.models.threads import limit_threads

if TYPE_CHECKING:
    import pandas as pd

BOUND = 10.0
"""Largest weight of a row; without a bound, one row could outweigh a hundred others."""


def reweigh(
    sensitive: "pd.DataFrame", y: "pd.Series[Any]", bound: float = BOUND
) -> NDArray[np.float64]:
    """Return row weights P(group) P(label) / P(group, label), shape (n,), mean about 1.

    Kamiran, Calders 2012, "Data preprocessing techniques for classification without
    discrimination". A group is a combination of the sensitive columns' values; null counts as a
    value. Weights are limited to `1/bound` to `bound`. Where no weight meets the limit and each
    group has each label, weighted group and label are exactly independent.

    Raises:
        TrainingImpossible: there is no sensitive column, or the rows are not aligned.
    """
    import pandas as pd

    if sensitive.shape[1] == 0:
        raise TrainingImpossible(
            "bias.mitigation is `reweigh`, but bias.sensitive names no column for the weights"
        )
    if len(sensitive) != len(y):
        raise TrainingImpossible(f"{len(sensitive):,} rows of groups have {len(y):,} labels")
    keys = list(sensitive.columns)
    groups = sensitive.groupby(keys, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    labels = pd.factorize(pd.Series(y), use_na_sentinel=False)[0]
    table = np.zeros((groups.max(initial=0) + 1, labels.max(initial=0) + 1))
    np.add.at(table, (groups, labels), 1.0)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(len(y), 1)
    weights = expected[groups, labels] / table[groups, labels]
    return np.clip(weights, 1.0 / bound, bound)


def ignore_progress(line: str) -> None:
    """Ignore a line of progress; the default of `fit_model`."""


def fit_model(  # noqa: PLR0913 - what one fit is made of; every caller has all of it
    problem: Problem,
    model: ModelConfig,
    data: DataConfig,
    frame: "pd.DataFrame",
    y: "pd.Series[Any]",
    sample_weight: NDArray[np.float64] | None = None,
    *,
    progress: Callable[[str], None] = ignore_progress,
) -> Any:
    """Fit the configured model on raw columns and return it as one scikit-learn pipeline.

    The pipeline's `predict` applies the decision threshold. `sample_weight` has shape (n,).
    Calibration and the choice of a threshold use folds of these rows only. The same rows in the
    same order with the same seed result in the same predictions.

    Raises:
        ConfigInvalid: an option is set that does not apply to the problem.
        DataInvalid: a feature column is absent.
        TrainingImpossible: no rows, one class, too few rows of a class, numbers that are not
            finite, or features that do not predict the target.
    """
    from sklearn.pipeline import Pipeline

    parts = build_parts(problem, model, data)
    target = check_training_rows(problem, data, frame, y, count_needed(problem, model))
    progress(f"preparing {len(data.features)} features of {len(frame):,} rows")
    with limit_threads(len(frame)):
        X = parts.features.fit_transform(select_features(frame, data), target)
    fit = Fit(
        model, parts.estimator, parts.iterations_parameter, X, target, sample_weight, progress
    )
    if problem == "binary":
        fitted = _fit_binary(fit, find_positive(np.unique(target), data.positive))
    elif model.target_transform == "log":
        fitted = _fit_logarithm(fit, data.target)
    else:
        fitted = fit_estimator(fit)
    return Pipeline([("features", parts.features), ("model", fitted)])


def count_needed(problem: Problem, model: ModelConfig) -> int:
    """Return how many rows each class needs: two, and one per fold where folds are made.

    A threshold chosen for calibrated probabilities needs folds of folds.
    """
    chosen = problem == "binary" and model.has_chosen_threshold
    calibrated = model.calibration != "none"
    return {0: 2, 1: FOLDS, 2: 2 * FOLDS}[chosen + calibrated]


def find_threshold(pipeline: Any) -> float | None:
    """Return the decision threshold of a fitted pipeline; None for problems without one."""
    threshold = getattr(pipeline[-1], "threshold", None)
    return None if threshold is None else float(threshold)


def _fit_logarithm(fit: Fit, name: str) -> Any:
    """Fit a regression of log(1 + target) whose predictions are in the target's own unit.

    Raises:
        TrainingImpossible: the target has values below 0.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.frozen import FrozenEstimator

    y = fit.y.astype(np.float64)
    if y.min() < 0:
        raise TrainingImpossible(
            f"target '{name}' has {int((y < 0).sum()):,} values below 0, which have no logarithm; "
            "set model.target_transform to none"
        )
    fitted = fit_estimator(replace(fit, y=np.log1p(y)))
    regressor = TransformedTargetRegressor(
        FrozenEstimator(fitted), func=np.log1p, inverse_func=np.expm1, check_inverse=False
    )
    return regressor.fit(fit.X, y)


def _fit_binary(fit: Fit, positive: Any) -> Any:
    """Fit a classifier with an explicit decision threshold."""
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier

    given = fit.model.threshold
    if isinstance(given, FalsePositives):
        fitted, threshold = fit_with_rate(fit, positive, given.false_positive_rate)
    elif isinstance(given, str):
        fitted, threshold = fit_with_threshold(fit, positive)
    else:
        fitted, threshold = fit_estimator(fit), given
    classifier = FixedThresholdClassifier(
        FrozenEstimator(fitted),
        threshold=threshold,
        pos_label=positive,
        response_method="predict_proba",
    )
    return classifier.fit(fit.X, fit.y)

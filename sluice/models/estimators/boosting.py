"""Gradient boosting on binned features."""

from typing import Any

from sluice.config.data import DataConfig
from sluice.config.model import HistGradientBoosting, Problem
from sluice.models.features import ModelParts, build_tree_features, list_encoded


def build_boosting(problem: Problem, model: HistGradientBoosting, data: DataConfig) -> ModelParts:
    """Build the features and the estimator of gradient boosting, unfitted.

    Categories are split on as such. There is no early stopping: every iteration is done.
    """
    categories = list(range(len(list_encoded(data, "category"))))
    estimator = _build_estimator(problem, model, categories)
    return ModelParts(build_tree_features(data, problem, model.seed), estimator, "max_iter")


def _build_estimator(problem: Problem, model: HistGradientBoosting, categories: list[int]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    shared = {
        "max_iter": model.iterations,
        "learning_rate": model.learning_rate,
        "max_leaf_nodes": model.max_leaves,
        "min_samples_leaf": model.min_leaf,
        "l2_regularization": model.l2,
        "categorical_features": categories or None,
        "early_stopping": False,
        "random_state": model.seed,
    }
    if problem == "regression":
        return HistGradientBoostingRegressor(**shared)
    weight = None if model.class_weight == "none" else model.class_weight
    return HistGradientBoostingClassifier(**shared, class_weight=weight)

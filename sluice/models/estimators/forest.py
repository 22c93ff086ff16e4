"""Random forests."""

from typing import Any

from sluice.config.data import DataConfig
from sluice.config.model import Problem, RandomForest
from sluice.models.features import ModelParts, build_tree_features


def build_forest(problem: Problem, model: RandomForest, data: DataConfig) -> ModelParts:
    """Build the features and the estimator of a random forest, unfitted.

    It uses one thread: several threads add up the trees' votes in the order in which they finish,
    so that the last digits of the probabilities would differ from run to run.
    """
    return ModelParts(
        build_tree_features(data, problem, model.seed),
        _build_estimator(problem, model),
        "n_estimators",
    )


def _build_estimator(problem: Problem, model: RandomForest) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    shared = {
        "n_estimators": model.trees,
        "max_depth": model.max_depth or None,
        "min_samples_leaf": model.min_leaf,
        "random_state": model.seed,
        "n_jobs": 1,
    }
    if problem == "regression":
        return RandomForestRegressor(**shared)
    weight = None if model.class_weight == "none" else model.class_weight
    return RandomForestClassifier(**shared, class_weight=weight)

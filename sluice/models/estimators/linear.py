"""Linear models: logistic regression, or ridge regression for numbers."""

from typing import Any

from sluice.config.data import DataConfig
from sluice.config.model import Linear, Problem
from sluice.models.features import ModelParts, build_linear_features


def build_linear(problem: Problem, model: Linear, data: DataConfig) -> ModelParts:
    """Build the features and the estimator of a linear model, unfitted.

    scikit-learn's C is the inverse of the penalty's strength; ridge takes the strength itself.
    """
    return ModelParts(
        build_linear_features(data, problem, model.seed), _build_estimator(problem, model)
    )


def _build_estimator(problem: Problem, model: Linear) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if problem == "regression":
        return Ridge(
            alpha=model.regularisation, max_iter=model.max_iterations, random_state=model.seed
        )
    return LogisticRegression(
        C=1.0 / model.regularisation,
        max_iter=model.max_iterations,
        class_weight=None if model.class_weight == "none" else model.class_weight,
        random_state=model.seed,
    )

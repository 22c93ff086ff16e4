"""The kinds of model that a configuration may name, and a pipeline made of one."""

from collections.abc import Callable
from typing import Any

from sluice.config.data import DataConfig
from sluice.config.model import ModelConfig, Problem
from sluice.errors import ConfigInvalid
from sluice.models.boosting import build_boosting
from sluice.models.features import ModelParts
from sluice.models.forest import build_forest
from sluice.models.linear import build_linear

KINDS: dict[str, Callable[[Problem, Any, DataConfig], ModelParts]] = {
    "linear": build_linear,
    "random_forest": build_forest,
    "hist_gradient_boosting": build_boosting,
}
"""Builders by the configuration's `kind`; a new kind is one file and one entry."""


def build_parts(problem: Problem, model: ModelConfig, data: DataConfig) -> ModelParts:
    """Build a kind's unfitted features and estimator.

    Raises:
        ConfigInvalid: an option is set that the problem has no use for.
    """
    check_model(problem, model)
    return KINDS[model.kind](problem, model, data)


def build_pipeline(problem: Problem, model: ModelConfig, data: DataConfig) -> Any:
    """Build an unfitted pipeline from raw feature columns to answers.

    It has neither calibration nor decision threshold: `fit_model` adds what must be learned.

    Raises:
        ConfigInvalid: an option is set that the problem has no use for.
    """
    from sklearn.pipeline import Pipeline

    parts = build_parts(problem, model, data)
    return Pipeline([("features", parts.features), ("model", parts.estimator)])


def check_model(problem: Problem, model: ModelConfig) -> None:
    """Refuse options that would be ignored in silence.

    Raises:
        ConfigInvalid: class weights or calibration for a regression, or a threshold for anything
            but a binary problem.
    """
    if problem != "binary" and model.threshold != 0.5:
        raise ConfigInvalid(
            f"model.threshold is {model.threshold}, but a {problem} problem has no threshold; "
            "allowed: leave it out"
        )
    if problem != "regression":
        return
    for key, value in (("class_weight", model.class_weight), ("calibration", model.calibration)):
        if value != "none":
            raise ConfigInvalid(
                f"model.{key} is `{value}`, but a regression has no classes; allowed: none"
            )

"""The kinds of estimator that a service's file may name, and a pipeline of one.

A new kind takes three steps, and a fourth where it is to serve as ONNX:

1. a class in `sluice/config/model.py` with its `kind` and options, added to `ModelConfig`;
2. a file in `sluice/models/estimators/` with a function that builds its features and its
   estimator, a scikit-learn one whose `fit` takes `sample_weight` (classifiers have
   `predict_proba`);
3. its entry in `KINDS`; and where skops does not know a type that the fitted model holds, the
   reviewed type in `TRUSTED_TYPES` of `sluice/adapters/registry/model_files.py`;
4. its graph in `sluice/models/export/graph.py`, and the link from raw scores to probabilities in
   `sluice/models/export/postprocessing.py`. Without them the native model serves (`serving: auto`).
"""

from collections.abc import Callable
from typing import Any

from sluice.config.data import DataConfig
from sluice.config.model import ModelConfig, Problem
from sluice.errors import ConfigInvalid
from sluice.models.estimators.boosting import build_boosting
from sluice.models.estimators.forest import build_forest
from sluice.models.estimators.linear import build_linear
from sluice.models.features import ModelParts

KINDS: dict[str, Callable[[Problem, Any, DataConfig], ModelParts]] = {
    "linear": build_linear,
    "random_forest": build_forest,
    "hist_gradient_boosting": build_boosting,
}
"""Builders by the configuration's `kind`."""


def build_parts(problem: Problem, model: ModelConfig, data: DataConfig) -> ModelParts:
    """Build a kind's unfitted features and estimator.

    Raises:
        ConfigInvalid: an option is set that does not apply to the problem.
    """
    check_model(problem, model)
    return KINDS[model.kind](problem, model, data)


def build_pipeline(problem: Problem, model: ModelConfig, data: DataConfig) -> Any:
    """Build an unfitted pipeline from raw feature columns to predictions.

    It has neither calibration nor decision threshold: `fit_model` adds them.

    Raises:
        ConfigInvalid: an option is set that does not apply to the problem.
    """
    from sklearn.pipeline import Pipeline

    parts = build_parts(problem, model, data)
    return Pipeline([("features", parts.features), ("model", parts.estimator)])


def check_model(problem: Problem, model: ModelConfig) -> None:
    """Check that every option that is set applies to the problem.

    Raises:
        ConfigInvalid: class weights or calibration for a regression, a threshold for a problem
            that is not binary, or a transformed target for one that is no regression.
    """
    if problem != "binary" and model.threshold != 0.5:
        raise ConfigInvalid(
            f"model.threshold is {model.threshold}, but a {problem} problem has no threshold; "
            "allowed: leave it out"
        )
    if problem != "regression":
        if model.target_transform != "none":
            raise ConfigInvalid(
                f"model.target_transform is `{model.target_transform}`, but the classes of a "
                f"{problem} problem are no numbers; allowed: none"
            )
        return
    for key, value in (("class_weight", model.class_weight), ("calibration", model.calibration)):
        if value != "none":
            raise ConfigInvalid(
                f"model.{key} is `{value}`, but a regression has no classes; allowed: none"
            )

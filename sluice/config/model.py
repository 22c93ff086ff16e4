"""The estimator that a service trains, with typed hyperparameters."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

Problem = Literal["binary", "multiclass", "regression"]


class Training(Section):
    """The options that every kind of estimator has."""

    seed: int = Field(0, ge=0)
    """Seed of everything random in training."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced`: row weights are inverse to their class's share (classification)."""
    calibration: Literal["none", "sigmoid", "isotonic"] = "none"
    """Whether probabilities are recalibrated on folds of the training rows (classification)."""
    threshold: float | Literal["accuracy", "balanced_accuracy", "f1"] = 0.5
    """Decision threshold (binary): a number in (0, 1), or the figure that it maximises on folds of
    the training rows; held-out rows are never used to choose it."""

    @model_validator(mode="after")
    def _threshold_is_a_probability(self) -> "Training":
        if not isinstance(self.threshold, str) and not 0.0 < self.threshold < 1.0:
            raise KeyInvalid("threshold", f"found {self.threshold}, allowed: above 0 and below 1")
        return self


class Linear(Training):
    """Logistic regression, or ridge regression for numbers."""

    kind: Literal["linear"]
    regularisation: float = Field(1.0, gt=0.0)
    """Strength of the L2 penalty."""
    max_iterations: int = Field(500, ge=1)


class RandomForest(Training):
    """A forest of trees grown on resampled rows."""

    kind: Literal["random_forest"]
    trees: int = Field(200, ge=1, le=5000)
    max_depth: int = Field(0, ge=0)
    """Largest depth of a tree; 0: no limit."""
    min_leaf: int = Field(5, ge=1)
    """Fewest rows in a leaf."""


class HistGradientBoosting(Training):
    """Gradient boosting on binned features."""

    kind: Literal["hist_gradient_boosting"]
    iterations: int = Field(100, ge=1, le=5000)
    learning_rate: float = Field(0.1, gt=0.0, le=1.0)
    max_leaves: int = Field(31, ge=2)
    min_leaf: int = Field(20, ge=1)
    """Fewest rows in a leaf."""
    l2: float = Field(0.0, ge=0.0)
    """Strength of the L2 penalty on leaves."""


ModelConfig = Annotated[Linear | RandomForest | HistGradientBoosting, Field(discriminator="kind")]

"""The estimator that a service trains, with typed hyperparameters."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

Problem = Literal["binary", "multiclass", "regression"]


def _is_none(value: str) -> bool:
    # Left out of the resolved configuration, so that older files keep their hash.
    return value == "none"


class FalsePositives(Section):
    """A threshold by what it may cost: the share of negatives that are taken for positives."""

    false_positive_rate: float = Field(gt=0.0, lt=0.5)
    """Largest share of the negative training rows at or above the threshold, on folds."""


class Training(Section):
    """The options that every kind of estimator has."""

    seed: int = Field(0, ge=0)
    """Seed of everything random in training."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced`: row weights are inverse to their class's share (classification)."""
    calibration: Literal["none", "sigmoid", "isotonic"] = "none"
    """Whether probabilities are recalibrated on folds of the training rows (classification)."""
    threshold: float | Literal["accuracy", "balanced_accuracy", "f1"] | FalsePositives = 0.5
    """Decision threshold (binary): a number in (0, 1), the figure that it maximises on folds of the
    training rows, or `{false_positive_rate: 0.01}`: the lowest one with at most that share of false
    positives on the folds. Held-out rows are never used to choose it."""

    target_transform: Literal["none", "log"] = Field("none", exclude_if=_is_none)
    """`log`: the model learns log(1 + target), so that few large values do not decide everything;
    its predictions are near the median, not the mean (regression, targets of 0 and more)."""

    @property
    def has_chosen_threshold(self) -> bool:
        """Whether the threshold is chosen on folds of the training rows."""
        return isinstance(self.threshold, str | FalsePositives)

    @model_validator(mode="after")
    def _threshold_is_a_probability(self) -> "Training":
        if isinstance(self.threshold, float) and not 0.0 < self.threshold < 1.0:
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

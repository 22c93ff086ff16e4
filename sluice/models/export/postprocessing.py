"""From an estimator's raw scores to predictions: link, calibration, threshold, in float64."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.errors import ServingImpossible
from sluice.stats.holdout import Predictions

Link = Literal["value", "mean", "logistic", "softmax"]
"""Raw scores are: the value itself, sums over `trees` trees, log odds, or unscaled logarithms."""
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Calibrator:
    """One class's calibration: Platt's logistic curve, or points that are interpolated."""

    slope: float = 0.0
    offset: float = 0.0
    points: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()

    def apply(self, scores: Scores) -> Scores:
        """Return probabilities for scores, shape (n,); Platt 1999, or Zadrozny and Elkan 2002."""
        if not self.points:
            return _expit(-(self.slope * scores + self.offset))
        return np.interp(scores, self.points, self.shares)


@dataclass(frozen=True)
class Postprocessing:
    """Everything between raw scores, shape (n, targets), and predictions.

    `classes` is empty for a regression. `threshold` is the least probability at which the class at
    place `positive` is predicted; None: the most probable class is predicted. `logarithm`: a
    regression's values are log(1 + prediction).
    """

    link: Link
    trees: int = 1
    classes: tuple[Any, ...] = ()
    calibrators: tuple[Calibrator, ...] = ()
    threshold: float | None = None
    positive: int = 1
    logarithm: bool = False

    def apply(self, raw: Scores) -> Predictions:
        """Return labels and probabilities, as `predict` does for a pipeline."""
        if not self.classes:
            values = raw[:, 0] / self.trees if self.link == "mean" else raw[:, 0]
            return Predictions(np.expm1(values) if self.logarithm else values)
        if self.link == "logistic" and not self.calibrators:
            return self._predict_binary(_expit(raw[:, 0]))
        probabilities = self._calibrate(raw) if self.calibrators else self._apply_link(raw)
        if self.threshold is None:
            places = probabilities.argmax(axis=1)
        else:
            is_positive = probabilities[:, self.positive] >= self.threshold
            places = np.where(is_positive, self.positive, 1 - self.positive)
        labels = self._names[places]
        scores = probabilities[:, self.positive] if len(self.classes) == 2 else probabilities
        return Predictions(labels, scores, self.classes)

    @cached_property
    def _names(self) -> NDArray[Any]:
        """The classes as an array, to be picked by place; text stays Python's `str`."""
        return np.array(self.classes, dtype=object if isinstance(self.classes[0], str) else None)

    def _predict_binary(self, second: Scores) -> Predictions:
        """Return predictions of two classes from the second one's probabilities."""
        first = 1.0 - second
        scores = second if self.positive else first
        if self.threshold is None:
            places = second > first
        else:
            is_positive = scores >= self.threshold
            places = is_positive if self.positive else ~is_positive
        return Predictions(self._names[places.astype(np.int64)], scores, self.classes)

    def _apply_link(self, raw: Scores) -> Scores:
        if self.link == "mean":
            return raw / self.trees
        exponentials = np.exp(raw - raw.max(axis=1, keepdims=True))
        probabilities: Scores = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def _calibrate(self, raw: Scores) -> Scores:
        """Calibrate each class by itself, then normalise, as CalibratedClassifierCV does."""
        scores = raw / self.trees if self.link == "mean" else raw
        if len(self.classes) == 2:
            probability = self.calibrators[0].apply(scores[:, -1])
            return np.column_stack([1.0 - probability, probability])
        pairs = zip(self.calibrators, scores.T, strict=True)
        probabilities = np.column_stack([calibrator.apply(column) for calibrator, column in pairs])
        total = probabilities.sum(axis=1, keepdims=True)
        even = np.full_like(probabilities, 1.0 / len(self.classes))
        np.divide(probabilities, total, out=even, where=total != 0)
        return even

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; `logarithm` only where it is set, as older readers expect."""
        values = asdict(self)
        if not self.logarithm:
            del values["logarithm"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Postprocessing":
        """Return the object that `to_dict` wrote, after it was read from JSON.

        Raises:
            KeyError: a field is missing.
        """
        calibrators = tuple(
            Calibrator(item["slope"], item["offset"], tuple(item["points"]), tuple(item["shares"]))
            for item in values["calibrators"]
        )
        classes = tuple(values["classes"])
        return cls(**{**values, "classes": classes, "calibrators": calibrators})


def read_postprocessing(model: Any, positive: Any) -> tuple[Any, Postprocessing]:
    """Return the estimator inside a fitted model, and the steps from its scores to predictions.

    `positive` is the class whose probabilities are the scores of a binary problem.

    Raises:
        ServingImpossible: it is calibrated by a method that has no export.
    """
    threshold, positive = getattr(model, "threshold", None), getattr(model, "pos_label", positive)
    estimator = model.estimator_.estimator if threshold is not None else model
    calibrators: tuple[Calibrator, ...] = ()
    if hasattr(estimator, "calibrated_classifiers_"):
        pair = estimator.calibrated_classifiers_[0]
        calibrators = tuple(_read_calibrator(item) for item in pair.calibrators)
        estimator = pair.estimator
    if not hasattr(estimator, "classes_"):
        logarithm = hasattr(estimator, "regressor_")
        estimator = estimator.regressor_.estimator if logarithm else estimator
        link, trees = _find_link(estimator, 0), _count_trees(estimator)
        return estimator, Postprocessing(link, trees, logarithm=logarithm)
    classes = tuple(estimator.classes_.tolist())
    place = classes.index(positive) if positive in classes else 1
    link = _find_link(estimator, len(classes))
    return estimator, Postprocessing(
        link,
        _count_trees(estimator),
        classes,
        calibrators,
        None if threshold is None else float(threshold),
        place,
    )


def _find_link(estimator: Any, classes: int) -> Link:
    if hasattr(estimator, "estimators_"):
        return "mean"
    if not classes:
        return "value"
    return "logistic" if classes == 2 else "softmax"


def _count_trees(estimator: Any) -> int:
    return len(getattr(estimator, "estimators_", [0]))


def _read_calibrator(found: Any) -> Calibrator:
    if hasattr(found, "a_"):
        return Calibrator(slope=float(found.a_), offset=float(found.b_))
    if hasattr(found, "X_thresholds_"):
        points, shares = found.X_thresholds_.tolist(), found.y_thresholds_.tolist()
        return Calibrator(points=tuple(points), shares=tuple(shares))
    raise ServingImpossible(f"no ONNX export of calibration by {type(found).__name__}")


def _expit(values: Scores) -> Scores:
    from scipy.special import expit

    found: Scores = expit(values)
    return found

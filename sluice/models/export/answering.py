"""From an estimator's raw scores to answers: link, calibration, decision threshold, in float64."""

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
        """Give probabilities for scores of shape (n,); Platt 1999, or Zadrozny and Elkan 2002."""
        if not self.points:
            return _expit(-(self.slope * scores + self.offset))
        return np.interp(scores, self.points, self.shares)


@dataclass(frozen=True)
class Postprocessing:
    """Everything between raw scores, shape (n, targets), and answers.

    `classes` is empty for numbers. `threshold` is the least probability of the class at place
    `positive` that is answered with it; None: the likeliest class.
    """

    link: Link
    trees: int = 1
    classes: tuple[Any, ...] = ()
    calibrators: tuple[Calibrator, ...] = ()
    threshold: float | None = None
    positive: int = 1

    def answer(self, raw: Scores) -> Predictions:
        """Give labels and probabilities, as `predict` does for a pipeline."""
        if not self.classes:
            return Predictions(raw[:, 0] / self.trees if self.link == "mean" else raw[:, 0])
        if self.link == "logistic" and not self.calibrators:
            return self._answer_pair(_expit(raw[:, 0]))
        chances = self._calibrate(raw) if self.calibrators else self._apply_link(raw)
        if self.threshold is None:
            places = chances.argmax(axis=1)
        else:
            is_positive = chances[:, self.positive] >= self.threshold
            places = np.where(is_positive, self.positive, 1 - self.positive)
        labels = self._names[places]
        scores = chances[:, self.positive] if len(self.classes) == 2 else chances
        return Predictions(labels, scores, self.classes)

    @cached_property
    def _names(self) -> NDArray[Any]:
        """The classes, to be picked by place; texts stay Python's own."""
        return np.array(self.classes, dtype=object if isinstance(self.classes[0], str) else None)

    def _answer_pair(self, second: Scores) -> Predictions:
        """Answer for two classes from the second one's probabilities, without a matrix of both."""
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
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        chances: Scores = powers / powers.sum(axis=1, keepdims=True)
        return chances

    def _calibrate(self, raw: Scores) -> Scores:
        """Do as scikit-learn's CalibratedClassifierCV: each class by itself, then normalised."""
        scores = raw / self.trees if self.link == "mean" else raw
        if len(self.classes) == 2:
            chance = self.calibrators[0].apply(scores[:, -1])
            return np.column_stack([1.0 - chance, chance])
        pairs = zip(self.calibrators, scores.T, strict=True)
        chances = np.column_stack([calibrator.apply(column) for calibrator, column in pairs])
        total = chances.sum(axis=1, keepdims=True)
        even = np.full_like(chances, 1.0 / len(self.classes))
        np.divide(chances, total, out=even, where=total != 0)
        return even

    def to_dict(self) -> dict[str, Any]:
        """Give JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Postprocessing":
        """Rebuild from what `to_dict` gave, read from JSON.

        Raises:
            KeyError: a field is missing.
        """
        calibrators = tuple(
            Calibrator(item["slope"], item["offset"], tuple(item["points"]), tuple(item["shares"]))
            for item in values["calibrators"]
        )
        classes = tuple(values["classes"])
        return cls(**{**values, "classes": classes, "calibrators": calibrators})


def read_answering(model: Any, positive: Any) -> tuple[Any, Postprocessing]:
    """Take a fitted model apart: the estimator within, and what stands between it and answers.

    `positive` is the class whose probability scores are, should the problem be binary.

    Raises:
        ServingImpossible: it is calibrated in a way that nobody wrote down here.
    """
    threshold, favoured = getattr(model, "threshold", None), getattr(model, "pos_label", positive)
    estimator = model.estimator_.estimator if threshold is not None else model
    calibrators: tuple[Calibrator, ...] = ()
    if hasattr(estimator, "calibrated_classifiers_"):
        pair = estimator.calibrated_classifiers_[0]
        calibrators = tuple(_read_calibrator(item) for item in pair.calibrators)
        estimator = pair.estimator
    if not hasattr(estimator, "classes_"):
        return estimator, Postprocessing(_find_link(estimator, 0), _count_trees(estimator))
    classes = tuple(estimator.classes_.tolist())
    place = classes.index(favoured) if favoured in classes else 1
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
    raise ServingImpossible(f"no served form of calibration by {type(found).__name__}")


def _expit(values: Scores) -> Scores:
    from scipy.special import expit

    found: Scores = expit(values)
    return found

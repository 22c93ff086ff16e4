"""Calibration of a classifier's probabilities by isotonic curves, as a JSON-able document.

Each curve is fitted on held-out rows, one class against the rest (Zadrozny, Elkan 2002). It is kept
as its corners and applied by linear interpolation, so that numpy is enough to use it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.drift.performance.figures import Finite
from sluice.stats.holdout import mark_class
from sluice.stats.ranking import Floats

Class = str | int | float | bool


@dataclass(frozen=True)
class CalibrationCurve:
    """The calibrated probability of a class at each of some scores, which ascend in [0, 1]."""

    scores: tuple[Finite, ...]
    probabilities: tuple[Finite, ...]

    def apply(self, scores: Floats) -> Floats:
        """Return calibrated probabilities, shape (n,); beyond the ends those of the ends."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities), dtype=np.float64)


@dataclass(frozen=True)
class CalibrationCurves:
    """One curve for the positive class, or one for each of several classes; fitted on `n` rows."""

    curves: tuple[CalibrationCurve, ...]
    n: int

    def apply(self, scores: Floats) -> Floats:
        """Return calibrated probabilities of every class, shape (n, k); each row has the sum 1.

        `scores` has shape (n,) for a binary problem: then the columns are negative and positive.
        """
        if scores.ndim == 1:
            positive = self.curves[0].apply(scores)
            return np.column_stack([1.0 - positive, positive])
        each = np.column_stack(
            [curve.apply(scores[:, place]) for place, curve in enumerate(self.curves)]
        )
        totals = each.sum(axis=1, keepdims=True)
        # Where every curve says 0, the scores themselves are the best that is known.
        each = np.where(totals > 0.0, each, scores)
        return np.asarray(each / each.sum(axis=1, keepdims=True))


def fit_calibration(
    y: NDArray[Any], scores: Floats, classes: tuple[Class, ...]
) -> CalibrationCurves:
    """Fit the curves on held-out rows.

    For a binary problem `y` is 1 and 0, and `scores`, shape (n,), the positive class's; else
    `scores` has shape (n, k), a column for each of `classes`.
    """
    if scores.ndim == 1:
        return CalibrationCurves((_fit_curve(y, scores),), len(y))
    curves = [
        _fit_curve(mark_class(y, value), scores[:, place]) for place, value in enumerate(classes)
    ]
    return CalibrationCurves(tuple(curves), len(y))


def _fit_curve(outcome: NDArray[np.int64], scores: Floats) -> CalibrationCurve:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fitted.fit(scores, outcome.astype(np.float64))
    return CalibrationCurve(
        tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist())
    )

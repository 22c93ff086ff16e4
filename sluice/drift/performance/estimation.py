"""Performance estimated without labels: CBPE for classes, DLE for numbers."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem
from sluice.drift.performance.calibration import CalibrationCurves
from sluice.drift.performance.error_model import ErrorModel
from sluice.drift.performance.expected import EXPECTED, expect_metric
from sluice.drift.performance.figures import Finite, find_shortage
from sluice.stats.holdout import Predictions

if TYPE_CHECKING:
    from pandas import DataFrame

Method = Literal["CBPE", "DLE"]
BLINDNESS: dict[Method, str] = {
    "CBPE": "estimated from the model's own probabilities, as they were right on held-out rows: it "
    "shows what other inputs do to the figure, and cannot see a change of the relation between "
    "inputs and outcome (concept drift); only labels show that",
    "DLE": "estimated by a model of the errors on held-out rows: it shows what other inputs do to "
    "the figure, and cannot see a change of the relation between inputs and outcome (concept "
    "drift); only labels show that",
}
"""What each method cannot see; every result carries it."""


@dataclass(frozen=True)
class EstimatedFigure:
    """An estimated metric of `n` rows; None: not estimated, `note` says why.

    `error` is the standard error of the estimate as a guess of the rows' real figure: noise of
    the labels, and of the held-out rows that the estimate was fitted on. `sampling` is its standard
    error over the draw of the rows alone, for comparing the estimates of two sets of rows.
    """

    name: str
    value: Finite | None
    error: Finite | None
    sampling: Finite | None
    n: int
    note: str = ""


def estimate_classes(
    problem: Problem, calibration: CalibrationCurves, predictions: Predictions
) -> tuple[EstimatedFigure, ...]:
    """Estimate a classifier's metrics from its calibrated probabilities.

    The labels of a binary problem are 1 and 0.
    """
    scores, n = predictions.scores, len(predictions.labels)
    if scores is None or n == 0:
        note = "no rows" if scores is not None else "no probabilities"
        return tuple(EstimatedFigure(name, None, None, None, n, note) for name in EXPECTED[problem])
    probabilities = calibration.apply(np.asarray(scores, dtype=np.float64))
    return tuple(
        _estimate_metric(name, problem, probabilities, predictions, calibration.n)
        for name in EXPECTED[problem]
    )


def _estimate_metric(
    name: str, problem: Problem, probabilities: Any, predictions: Predictions, fitted: int
) -> EstimatedFigure:
    found, n = expect_metric(name, problem, probabilities, predictions), len(probabilities)
    if found.value is None or found.noise is None:
        note = "the rows leave it undefined"
        return EstimatedFigure(name, None, None, None, n, note)
    # The curves carry the noise of as many labels as they were fitted on.
    error = found.noise * math.sqrt(1.0 + n / fitted)
    note = ""
    if problem == "binary":
        expected = zip(("negative class", "positive class"), probabilities.sum(axis=0), strict=True)
        note = find_shortage(problem, name, dict(expected))
    return EstimatedFigure(name, found.value, error, None if note else found.sampling, n, note)


def estimate_error(
    model: ErrorModel, frame: "DataFrame", predictions: NDArray[Any]
) -> EstimatedFigure:
    """Estimate a regression's mean absolute error from its features and predictions."""
    n = len(predictions)
    if n < 2:
        return EstimatedFigure("mae", None, None, None, n, "fewer than two rows")
    absent = [item.name for item in model.features if item.name not in frame.columns]
    if absent:
        note = f"feature '{absent[0]}' is not in the rows"
        return EstimatedFigure("mae", None, None, None, n, note)
    expected = model.predict(frame, predictions)
    error = model.spread * math.sqrt(1.0 / n + 1.0 / model.n)
    sampling = float(expected.std(ddof=1)) / math.sqrt(n)
    return EstimatedFigure("mae", float(expected.mean()), error, sampling, n)

"""Live performance without labels, and bias in live traffic with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sluice.config.service import ServiceConfig
from sluice.drift.performance.comparison import PerformanceDrop, compare_estimates
from sluice.drift.performance.estimation import (
    BLINDNESS,
    EstimatedFigure,
    Method,
    estimate_classes,
    estimate_error,
)
from sluice.drift.performance.labelled import LabelledRows
from sluice.drift.performance.reference import PerformanceReference
from sluice.gates.bias import BiasGate, measure_bias
from sluice.stats.holdout import Holdout, Predictions, mark_predictions
from sluice.verdict import Verdict

if TYPE_CHECKING:
    from pandas import DataFrame

LEAST_ROWS = 500
"""Fewest answers on which an estimated figure is judged."""


@dataclass(frozen=True)
class PerformanceEstimate:
    """The estimated performance of `n` answers, and what the method cannot see.

    `primary` compares the primary metric, or the estimated one that stands for it, with the
    release's. `note` says why nothing is estimated; then there are no figures.
    """

    method: Method
    n: int
    figures: tuple[EstimatedFigure, ...] = ()
    primary: PerformanceDrop | None = None
    blindness: str = ""
    note: str = ""


def estimate_performance(
    config: ServiceConfig,
    reference: PerformanceReference,
    predictions: Predictions,
    frame: "DataFrame | None" = None,
) -> PerformanceEstimate:
    """Estimate the performance of answers without labels.

    `predictions` are as the version's model gives them; a regression also needs the rows, `frame`.
    """
    n = len(predictions.labels)
    method: Method = "DLE" if reference.problem == "regression" else "CBPE"
    blindness = BLINDNESS[method]
    if reference.note or not reference.estimates:
        note = reference.note or "the release has no estimates"
        return PerformanceEstimate(method, n, blindness=blindness, note=note)
    figures = _estimate(reference, predictions, frame)
    if figures is None:
        note = "a regression's error is estimated from its features: no rows were given"
        return PerformanceEstimate(method, n, blindness=blindness, note=note)
    return PerformanceEstimate(method, n, figures, _judge(config, reference, figures, n), blindness)


def _estimate(
    reference: PerformanceReference, predictions: Predictions, frame: "DataFrame | None"
) -> tuple[EstimatedFigure, ...] | None:
    if reference.calibration is not None:
        if reference.problem == "binary":
            predictions = mark_predictions(predictions, reference.positive)
        return estimate_classes(reference.problem, reference.calibration, predictions)
    if frame is None or reference.errors is None:
        return None
    return (estimate_error(reference.errors, frame, np.asarray(predictions.labels)),)


def _judge(
    config: ServiceConfig,
    reference: PerformanceReference,
    figures: tuple[EstimatedFigure, ...],
    n: int,
) -> PerformanceDrop:
    """Judge the primary metric, or the first estimated one where it has no estimate."""
    names = [figure.name for figure in figures]
    name = reference.primary if reference.primary in names else names[0]
    figure = figures[names.index(name)]
    before = next((one for one in reference.estimates if one.name == name), None)
    limits = config.performance
    if n < LEAST_ROWS:
        note = f"{n:,} answers, {LEAST_ROWS:,} needed"
        return PerformanceDrop(name, before.value if before else None, figure.value, n, note=note)
    return compare_estimates(before, figure, limits.drop, limits.alpha)


def judge_live_bias(
    config: ServiceConfig, reference: PerformanceReference, rows: LabelledRows
) -> Verdict:
    """Judge how groups are treated in labelled traffic, by the limits of the bias gate.

    Groups are known where callers send the sensitive columns with the features; a column that they
    do not send is missing evidence.
    """
    favourable = reference.positive if config.bias.favourable is None else config.bias.favourable
    holdout = Holdout(y=rows.y, frame=rows.frame)
    evidence = measure_bias(config.bias, reference.problem, favourable, holdout, rows.predictions)
    return BiasGate(config.bias).judge(evidence)

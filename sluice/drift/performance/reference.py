"""The performance section of a version's reference profile: what it reached at its release.

It has the figures on held-out rows, each with its standard error, and what estimates performance
without labels: calibration curves of a classifier, or the error model of a regression.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from sluice.config.model import Problem
from sluice.config.service import ServiceConfig
from sluice.drift.performance.calibration import CalibrationCurves, Class, fit_calibration
from sluice.drift.performance.error_model import ErrorModel, fit_error_model
from sluice.drift.performance.estimation import EstimatedFigure, estimate_classes, estimate_error
from sluice.drift.performance.figures import (
    PerformanceFigure,
    ScoredRows,
    SlicePerformance,
    measure_loss,
    measure_metrics,
    measure_slices,
    prepare_rows,
)
from sluice.drift.performance.labelled import AnswerForm
from sluice.errors import DataInvalid
from sluice.stats.holdout import Holdout, Predictions, find_gaps, find_score_gaps

if TYPE_CHECKING:
    from pandas import DataFrame

SECTIONS, SECTION = "sections", "performance"
"""Where the section is in a reference profile: under `sections.performance`."""
FORMAT: Literal[1] = 1
LEAST_ROWS = 500
"""Fewest held-out rows from which performance is estimated."""


@dataclass(frozen=True)
class PerformanceReference:
    """A version's performance on held-out rows.

    `estimates` are the estimated figures of those rows, which later estimates are compared with.
    `note` says why nothing can be estimated. `classes` are as the data spells them.
    """

    format: Literal[1]
    problem: Problem
    primary: str
    n: int
    loss: PerformanceFigure
    figures: tuple[PerformanceFigure, ...]
    slices: tuple[SlicePerformance, ...] = ()
    classes: tuple[Class, ...] = ()
    positive: Class | None = None
    calibration: CalibrationCurves | None = None
    errors: ErrorModel | None = None
    estimates: tuple[EstimatedFigure, ...] = ()
    note: str = ""

    def find_figure(self, name: str) -> PerformanceFigure | None:
        """Return a figure by its name; None where it was not measured."""
        found = (figure for figure in (self.loss, *self.figures) if figure.name == name)
        return next((figure for figure in found if figure.value is not None), None)

    def find_slice(self, column: str, value: str) -> SlicePerformance | None:
        """Return a slice's figure; None where the held-out rows do not have the slice."""
        return next(
            (one for one in self.slices if (one.column, one.value) == (column, value)), None
        )

    def form(self, config: ServiceConfig) -> AnswerForm:
        """Return what the version's answers and labels look like."""
        data = config.data
        return AnswerForm(self.problem, data.target, data.columns, self.classes, self.positive)

    def to_document(self) -> dict[str, Any]:
        """Return the section as JSON-ready values."""
        document: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return document


_ADAPTER = TypeAdapter(PerformanceReference)


def read_reference(profile: Any, name: str) -> PerformanceReference | None:
    """Return the performance section of a reference profile; None where the profile has none.

    `name` says in errors which profile it is.

    Raises:
        DataInvalid: the section has another format than this code reads, or is damaged.
    """
    if not isinstance(profile, dict):
        raise DataInvalid(f"{name}: found {type(profile).__name__}, allowed: a mapping")
    sections = profile.get(SECTIONS)
    section = sections.get(SECTION) if isinstance(sections, dict) else None
    if section is None:
        return None
    found = section.get("format") if isinstance(section, dict) else None
    if found != FORMAT:
        raise DataInvalid(
            f"{name}: {SECTIONS}.{SECTION}.format: found {found!r}, allowed: {FORMAT}; next: run "
            "the Sluice that wrote it, or release again"
        )
    try:
        return _ADAPTER.validate_python(section)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (SECTIONS, SECTION, *first["loc"])))
        raise DataInvalid(
            f"{name}: {where}: {first['msg'].lower()}; next: release again"
        ) from error


def build_sections(
    config: ServiceConfig, holdout: Holdout, predictions: Predictions
) -> dict[str, Any]:
    """Return what the reference profile of a release has under `sections`, as JSON-ready values.

    Raises:
        DataInvalid: the rows or the predictions are not complete.
    """
    return {SECTION: build_reference(config, holdout, predictions).to_document()}


def build_reference(
    config: ServiceConfig, holdout: Holdout, predictions: Predictions
) -> PerformanceReference:
    """Measure a version on held-out rows, and fit what estimates its performance later.

    Raises:
        DataInvalid: the rows or the predictions are not complete.
    """
    gaps = find_gaps(holdout, predictions, "model")
    gaps = gaps or find_score_gaps(config.problem, predictions, "model")
    if gaps:
        raise DataInvalid(f"the reference profile of {config.service}: {gaps[0]}")
    positive = config.data.positive if config.problem == "binary" else None
    scored = prepare_rows(config.problem, positive, holdout.y, predictions)
    slices, primary = config.evaluation.slices, config.evaluation.primary
    measured = PerformanceReference(
        format=FORMAT,
        problem=config.problem,
        primary=primary,
        n=len(holdout.y),
        loss=measure_loss(scored),
        figures=measure_metrics(scored),
        slices=measure_slices(slices, config.data.columns, holdout.frame, scored, primary),
        classes=tuple(predictions.classes),
        positive=positive,
    )
    return _add_estimates(config, measured, holdout.frame, scored)


def _add_estimates(
    config: ServiceConfig, measured: PerformanceReference, frame: "DataFrame", scored: ScoredRows
) -> PerformanceReference:
    """Return the section with what estimates performance, or the reason why nothing does."""
    if measured.n < LEAST_ROWS:
        note = f"{measured.n:,} held-out rows, {LEAST_ROWS:,} needed to estimate performance"
        return replace(measured, note=note)
    labels, scores = scored.predictions.labels, scored.predictions.scores
    if scores is not None:
        curves = fit_calibration(scored.y, scores, measured.classes)
        estimates = estimate_classes(measured.problem, curves, scored.predictions)
        return replace(measured, calibration=curves, estimates=estimates)
    errors = np.abs(np.asarray(labels, dtype=np.float64) - np.asarray(scored.y, dtype=np.float64))
    model = fit_error_model(config.data, frame, np.asarray(labels), errors)
    estimate = estimate_error(model, frame, np.asarray(labels))
    return replace(measured, errors=model, estimates=(estimate,))

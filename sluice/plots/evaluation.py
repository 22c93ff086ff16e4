"""Every picture of an evaluation, by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sluice.config.service import ServiceConfig
from sluice.models.importance import Importance
from sluice.plots.calibration import draw_calibration
from sluice.plots.confusion import draw_confusion
from sluice.plots.curves import draw_ranking
from sluice.plots.importance import draw_importance
from sluice.plots.regression import draw_regression
from sluice.plots.slices import draw_slices
from sluice.stats.comparison import EvaluationEvidence
from sluice.stats.holdout import Holdout, mark_class
from sluice.stats.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_evaluation(
    config: ServiceConfig,
    holdout: Holdout,
    candidate: Predictions,
    champion: Predictions | None,
    evidence: EvaluationEvidence,
    importance: Sequence[Importance],
) -> "dict[str, Figure]":
    """Draw what the problem has to show; pictures without evidence are left out."""
    figures: dict[str, Figure] = {}
    if not evidence.missing:
        models = {"candidate": candidate} | ({"champion": champion} if champion else {})
        if config.problem == "regression":
            observed = holdout.y.astype(np.float64)
            name = config.data.target
            figures["predictions"] = draw_regression(observed, candidate.labels, name)
        else:
            figures |= _draw_classes(config, holdout, models, evidence)
        primary = evidence.find_metric(config.evaluation.primary)
        if primary is not None and primary.difference is not None:
            figures["slices"] = draw_slices(
                evidence.slices, primary, config.evaluation.slices.margin
            )
    if importance:
        figures["importance"] = draw_importance(importance)
    return figures


def _draw_classes(
    config: ServiceConfig,
    holdout: Holdout,
    models: dict[str, Predictions],
    evidence: EvaluationEvidence,
) -> "dict[str, Figure]":
    figures: dict[str, Figure] = {}
    if config.problem == "binary":
        scores = {name: one.scores for name, one in models.items() if one.scores is not None}
        figures["ranking"] = draw_ranking(mark_class(holdout.y, config.data.positive), scores)
        if evidence.reliability:
            figures["calibration"] = draw_calibration(evidence.reliability, scores["candidate"])
    labels = {name: np.asarray(one.labels) for name, one in models.items()}
    classes = _list_classes(holdout, models["candidate"])
    figures["confusion"] = draw_confusion(holdout.y, labels, classes, evidence.threshold)
    return figures


def _list_classes(holdout: Holdout, candidate: Predictions) -> list[Any]:
    """Give the model's classes, and those that only the rows have."""
    known = list(candidate.classes)
    return known + sorted(set(holdout.y.tolist()) - set(known))

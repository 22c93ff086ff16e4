"""Evidence of the newest held-out rows, which decide, beside the figures of the older ones."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.bias import BiasConfig
from sluice.config.evaluation import EvaluationConfig, Slices
from sluice.config.model import Problem
from sluice.data.recent import RecentRows
from sluice.stats.bias import BiasEvidence, measure_bias
from sluice.stats.comparison import EvaluationEvidence, OlderRows, measure_evaluation
from sluice.stats.holdout import Holdout, Predictions, take_predictions, take_rows


@dataclass(frozen=True, eq=False)
class EvaluatedRows:
    """Held-out rows with the predictions of both models for them; all are aligned."""

    holdout: Holdout
    candidate: Predictions
    champion: Predictions | None = None

    def take(self, mask: NDArray[np.bool_]) -> "EvaluatedRows":
        """Return the rows that a mask of shape (n,) marks."""
        return EvaluatedRows(
            take_rows(self.holdout, mask),
            take_predictions(self.candidate, mask),
            take_predictions(self.champion, mask) if self.champion else None,
        )

    def choose(self, recent: RecentRows | None) -> "EvaluatedRows":
        """Return the rows that decide: the recent ones, or all of them."""
        return self if recent is None else self.take(recent.mask)


def measure_recent_evaluation(  # noqa: PLR0913
    config: EvaluationConfig,
    problem: Problem,
    positive: Any,
    rows: EvaluatedRows,
    recent: RecentRows | None,
    *,
    threshold: float | None = None,
    training: NDArray[Any] | None = None,
) -> EvaluationEvidence:
    """Measure the rows that decide as `measure_evaluation` does, and the metrics of the others.

    `recent` marks the rows that decide; None: all of them do, and there are no others.
    """
    chosen = rows.choose(recent)
    evidence = measure_evaluation(
        config,
        problem,
        positive,
        chosen.holdout,
        chosen.candidate,
        chosen.champion,
        threshold=threshold,
        training=training,
    )
    if recent is None:
        return evidence
    if not recent.n:
        evidence = replace(evidence, missing=(_explain_none(config, recent),))
    return replace(evidence, older=_measure_older(config, problem, positive, rows, recent))


def measure_recent_bias(
    config: BiasConfig,
    problem: Problem,
    favourable: Any,
    rows: EvaluatedRows,
    recent: RecentRows | None,
) -> BiasEvidence:
    """Measure the rows that decide as `measure_bias` does, and the figures of the others."""
    chosen = rows.choose(recent)
    evidence = measure_bias(config, problem, favourable, chosen.holdout, chosen.candidate)
    if recent is None:
        return evidence
    rest = rows.take(~recent.mask)
    older = measure_bias(config, problem, favourable, rest.holdout, rest.candidate)
    return replace(evidence, older_rows=older.n, older=older.figures)


def _explain_none(config: EvaluationConfig, recent: RecentRows) -> str:
    others = len(recent.mask)
    since = f", {recent.since} or later" if recent.since else ""
    return (
        f"evaluation.recent: {config.recent}: none of the {others:,} held-out rows is so new{since}"
    )


def _measure_older(
    config: EvaluationConfig,
    problem: Problem,
    positive: Any,
    rows: EvaluatedRows,
    recent: RecentRows,
) -> OlderRows:
    setting = describe_recent(config)
    rest = rows.take(~recent.mask)
    n = len(rest.holdout.y)
    if not n:
        return OlderRows(setting, recent.since, 0)
    plain = config.model_copy(update={"slices": Slices()})
    found = measure_evaluation(
        plain, problem, positive, rest.holdout, rest.candidate, rest.champion
    )
    return OlderRows(setting, recent.since, n, found.metrics, found.missing)


def describe_recent(config: EvaluationConfig) -> str:
    """Return the setting in words: `90 d`, or `3,000 rows`."""
    rows = config.recent_rows
    return f"{rows:,} rows" if rows is not None else str(config.recent)

"""Held-out rows, predictions on them, and what must be true of both."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers, aligned with the rows they were asked for.

    `labels` has shape (n,): predicted classes at the model's own threshold, or values (regression).
    `scores` is the positive class's probability, shape (n,), for binary problems; probabilities of
    shape (n, k) with columns in the order of `classes` for multiclass; None for regression.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64] | None = None
    classes: tuple[Any, ...] = ()


MISSING = "(missing)"
"""The group, or slice, of the rows in which a column is null."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """Held-out rows: `y`, shape (n,), is the target; `frame`, row-aligned, has every column."""

    y: NDArray[Any]
    frame: "DataFrame"


def name_values(frame: "DataFrame", column: str) -> NDArray[Any]:
    """Give a column as text, shape (n,); nulls become `(missing)`."""
    values = frame[column]
    named = values.astype("object").map(str)
    return np.asarray(named.where(values.notna(), MISSING), dtype=object)


def mark_class(values: NDArray[Any], value: Any) -> NDArray[np.int64]:
    """Give 1 where a row has the value, else 0."""
    return np.fromiter((one == value for one in values.tolist()), dtype=np.int64, count=len(values))


def mark_predictions(predictions: Predictions, value: Any) -> Predictions:
    """Give the same answers with labels 1 where they name the value, else 0."""
    return Predictions(mark_class(np.asarray(predictions.labels), value), predictions.scores)


def find_gaps(holdout: Holdout, predictions: Predictions, who: str) -> list[str]:
    """Name what is missing in the rows, or in one model's answers, to judge by; empty: nothing.

    `who` is the model's name in the sentences.
    """
    rows = len(holdout.y)
    if rows == 0:
        return ["no held-out rows"]
    if len(holdout.frame) != rows:
        return [f"{len(holdout.frame):,} rows of columns for {rows:,} held-out targets"]
    if nulls := _count_nulls(holdout.y):
        return [f"the target is null in {nulls:,} of {rows:,} held-out rows"]
    if len(predictions.labels) != rows:
        return [f"the {who} gave {len(predictions.labels):,} answers for {rows:,} held-out rows"]
    if bad := _count_nulls(predictions.labels):
        return [f"the {who}'s answers are null or not finite in {bad:,} of {rows:,} held-out rows"]
    return []


def find_score_gaps(problem: Problem, predictions: Predictions, who: str) -> list[str]:
    """Name what is missing in a classifier's probabilities; empty: nothing, or a regression."""
    rows = len(predictions.labels)
    if problem == "regression":
        return []
    if predictions.scores is None:
        return [f"the {who} gave no probabilities"]
    needed = (rows,) if problem == "binary" else (rows, len(predictions.classes))
    if predictions.scores.shape != needed:
        return [f"the {who}'s probabilities have shape {predictions.scores.shape}, needed {needed}"]
    inside = (predictions.scores >= 0.0) & (predictions.scores <= 1.0)
    bad = int((~inside).reshape(rows, -1).any(axis=1).sum())
    where = f"in {bad:,} of {rows:,} held-out rows"
    return [f"the {who}'s probabilities are not between 0 and 1 {where}"] if bad else []


def _count_nulls(values: NDArray[Any]) -> int:
    """Count what is null, NaN or infinite."""
    if values.dtype.kind == "f":
        return int((~np.isfinite(values)).sum())
    if values.dtype.kind in "biu":
        return 0
    import pandas as pd

    return int(np.asarray(pd.isna(values)).sum())

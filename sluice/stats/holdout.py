"""Held-out rows, a model's predictions on them, and checks that both are complete."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sluice.config.model import Problem

if TYPE_CHECKING:
    from pandas import DataFrame


MISSING = "(missing)"
"""The group, or slice, of the rows in which a column is null."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """Held-out rows: `y`, shape (n,), is the target; `frame`, row-aligned, has every column."""

    y: NDArray[Any]
    frame: "DataFrame"


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's predictions, aligned with the rows that it was given.

    `labels` has shape (n,): predicted classes at the model's own threshold, or values (regression).
    `scores` is the positive class's probability, shape (n,), for binary problems; probabilities of
    shape (n, k) with columns in the order of `classes` for multiclass; None for regression.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64] | None = None
    classes: tuple[Any, ...] = ()


def take_rows(holdout: Holdout, mask: NDArray[np.bool_]) -> Holdout:
    """Return the held-out rows that a mask of shape (n,) marks."""
    return Holdout(holdout.y[mask], holdout.frame[mask].reset_index(drop=True))


def take_predictions(predictions: Predictions, mask: NDArray[np.bool_]) -> Predictions:
    """Return the predictions for the rows that a mask of shape (n,) marks."""
    scores = None if predictions.scores is None else predictions.scores[mask]
    return Predictions(predictions.labels[mask], scores, predictions.classes)


def name_values(frame: "DataFrame", column: str) -> NDArray[Any]:
    """Return a column as text, shape (n,); nulls become `(missing)`."""
    values = frame[column]
    named = values.astype("object").map(str)
    return np.asarray(named.where(values.notna(), MISSING), dtype=object)


def mark_class(values: NDArray[Any], value: Any) -> NDArray[np.int64]:
    """Return 1 for each row that has the value, 0 for each other row; shape (n,)."""
    return np.fromiter((one == value for one in values.tolist()), dtype=np.int64, count=len(values))


def mark_predictions(predictions: Predictions, value: Any) -> Predictions:
    """Return the same predictions with label 1 for the value and 0 for every other."""
    return Predictions(mark_class(np.asarray(predictions.labels), value), predictions.scores)


def find_gaps(holdout: Holdout, predictions: Predictions, model: str) -> list[str]:
    """Return sentences on what a gate misses in the rows or in one model's predictions.

    Empty where nothing is missing. `model` is the model's name in the sentences.
    """
    rows = len(holdout.y)
    if rows == 0:
        return ["no held-out rows"]
    if len(holdout.frame) != rows:
        return [f"{len(holdout.frame):,} rows of columns for {rows:,} held-out targets"]
    if nulls := _count_nulls(holdout.y):
        return [f"the target is null in {nulls:,} of {rows:,} held-out rows"]
    if len(predictions.labels) != rows:
        found = len(predictions.labels)
        return [f"the {model} returned {found:,} predictions for {rows:,} held-out rows"]
    if bad := _count_nulls(predictions.labels):
        where = f"in {bad:,} of {rows:,} held-out rows"
        return [f"the {model}'s predictions are null or not finite {where}"]
    return []


def find_score_gaps(problem: Problem, predictions: Predictions, model: str) -> list[str]:
    """Return sentences on what a gate misses in a classifier's probabilities.

    Empty where nothing is missing, and for a regression.
    """
    rows = len(predictions.labels)
    if problem == "regression":
        return []
    if predictions.scores is None:
        return [f"the {model} returned no probabilities"]
    needed = (rows,) if problem == "binary" else (rows, len(predictions.classes))
    if predictions.scores.shape != needed:
        shape = predictions.scores.shape
        return [f"the {model}'s probabilities have shape {shape}, needed {needed}"]
    inside = (predictions.scores >= 0.0) & (predictions.scores <= 1.0)
    bad = int((~inside).reshape(rows, -1).any(axis=1).sum())
    where = f"in {bad:,} of {rows:,} held-out rows"
    return [f"the {model}'s probabilities are not between 0 and 1 {where}"] if bad else []


def _count_nulls(values: NDArray[Any]) -> int:
    """Return how many values are null, NaN or infinite."""
    if values.dtype.kind == "f":
        return int((~np.isfinite(values)).sum())
    if values.dtype.kind in "biu":
        return 0
    import pandas as pd

    return int(np.asarray(pd.isna(values)).sum())

"""The valid answers of a model: as many as rows, of known classes, every number finite."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from sluice.errors import AnswerInvalid
from sluice.stats.holdout import Predictions

SLACK = 1e-6
"""How far rounding may move a probability above 1, or a row's sum away from 1."""


def name_classes(classes: Sequence[Any]) -> list[str]:
    """Return the names of classes as callers see them: text as it is, all else as JSON."""
    return [item if isinstance(item, str) else json.dumps(item) for item in classes]


def find_places(classes: Sequence[Any], positive: Any) -> tuple[int, int]:
    """Return the places of the positive and the negative one of two classes.

    The second class is the positive one where the configuration names none of the two.
    """
    place = classes.index(positive) if positive in classes else 1
    return place, 1 - place


def check_answers(answers: Predictions, classes: Sequence[Any], rows: int) -> None:
    """Check the answers to so many rows; `classes` is empty for a regression.

    Raises:
        AnswerInvalid: there are too many or too few, a value is NaN or infinite, a probability is
            none, the probabilities of a row do not sum to 1, or a class is unknown.
    """
    if len(answers.labels) != rows:
        raise AnswerInvalid(f"found {len(answers.labels):,} answers to {rows:,} rows")
    if not classes:
        _check_values(np.asarray(answers.labels, dtype=np.float64))
        return
    if answers.scores is None or len(answers.scores) != rows:
        raise AnswerInvalid("found no probabilities; allowed: one for each class of each row")
    unknown = set(np.asarray(answers.labels).tolist()) - set(classes)
    if unknown:
        shown, allowed = repr(sorted(unknown, key=str)[0])[:40], ", ".join(name_classes(classes))
        raise AnswerInvalid(f"found class {shown}; allowed: {allowed}")
    inside = (answers.scores >= 0.0) & (answers.scores <= 1.0 + SLACK)
    if not bool(inside.all()):
        bad = float(answers.scores[~inside].ravel()[0])
        raise AnswerInvalid(f"found {bad:.4g} as a probability; allowed: 0 to 1")
    if answers.scores.ndim == 2:
        off = np.abs(answers.scores.sum(axis=1) - 1.0)
        if rows and float(off.max()) > SLACK * len(classes):
            raise AnswerInvalid("found probabilities of a row that do not sum to 1")


def _check_values(values: Any) -> None:
    bad = ~np.isfinite(values)
    if bool(bad.any()):
        raise AnswerInvalid(f"found {float(values[bad][0])} as a value; allowed: finite numbers")

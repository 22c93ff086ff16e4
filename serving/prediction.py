"""A model's answers as callers get them, and the proof that they are answers at all."""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec

from sluice.errors import AnswerInvalid
from sluice.stats.predictions import Predictions

SLACK = 1e-6
"""How far above 1 rounding may carry a probability, or a row's sum from 1."""


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one record; probabilities are by class, and only where there are classes."""

    prediction: str | int | float | bool
    probabilities: dict[str, float] | None = None


_ENCODER = msgspec.json.Encoder()


def encode_outputs(predictions: Sequence[Prediction], many: bool) -> bytes:
    """Write the answers as JSON: a list, or the one answer to the one record."""
    return _ENCODER.encode(predictions if many else predictions[0])


class AnswerShape:
    """What a model's answers must look like: so many rows, of these classes, all of it finite."""

    def __init__(self, classes: Sequence[Any], positive: Any = None) -> None:
        self.classes = tuple(classes)
        self._names = [item if isinstance(item, str) else json.dumps(item) for item in classes]
        self._known = set(self.classes)
        place = self.classes.index(positive) if positive in self.classes else 1
        self._positive, self._negative = place, 1 - place

    def read(self, answers: Predictions, rows: int) -> list[Prediction]:
        """Give the answers to so many records, each proved to be one.

        Raises:
            AnswerInvalid: a number is NaN or infinite, a probability is none, a class is unknown,
                or the rows are too many or too few.
        """
        try:
            labels = answers.labels.tolist()
            scores = None if answers.scores is None else answers.scores.tolist()
            if len(labels) != rows or (scores is not None and len(scores) != rows):
                raise AnswerInvalid(f"found {len(labels):,} answers to {rows:,} records")
            if not self.classes:
                return [Prediction(_check_value(value)) for value in labels]
            if scores is None:
                raise AnswerInvalid("found no probabilities; allowed: one for each class")
            read = self._read_pair if len(self.classes) == 2 else self._read_row
            return [read(label, score) for label, score in zip(labels, scores, strict=True)]
        except (TypeError, AttributeError, ValueError) as error:
            raise AnswerInvalid(f"found answers of another type: {error}") from error

    def _read_pair(self, label: Any, score: float) -> Prediction:
        if not 0.0 <= score <= 1.0 + SLACK or label not in self._known:
            raise AnswerInvalid(self._explain(label, [score]))
        names = self._names
        return Prediction(label, {names[self._negative]: 1.0 - score, names[self._positive]: score})

    def _read_row(self, label: Any, scores: list[float]) -> Prediction:
        fits = len(scores) == len(self._names) and all(
            0.0 <= item <= 1.0 + SLACK for item in scores
        )
        if not fits or abs(sum(scores) - 1.0) > SLACK * len(scores) or label not in self._known:
            raise AnswerInvalid(self._explain(label, scores))
        return Prediction(label, dict(zip(self._names, scores, strict=True)))

    def _explain(self, label: Any, scores: list[float]) -> str:
        classes = ", ".join(self._names)
        known = "a known class" if label in self._known else "an unknown class"
        shown = ", ".join(f"{item:.4g}" for item in scores[:5])
        return f"found {known} with probabilities {shown}; allowed: {classes}, each 0 to 1, sum 1"


def _check_value(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise AnswerInvalid(f"found {number} as a value; allowed: finite numbers")
    return number

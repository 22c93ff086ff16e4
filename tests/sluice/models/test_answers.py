"""What is a valid answer of a model."""

from typing import Any

import numpy as np
import pytest

from sluice.errors import AnswerInvalid
from sluice.models.answers import check_answers, find_places, name_classes
from sluice.stats.holdout import Predictions


@pytest.mark.parametrize(
    ("labels", "scores", "classes"),
    [
        ([1.0, -2.0], None, ()),
        ([0, 1], [0.0, 1.0 + 1e-9], (0, 1)),
        (["a", "c"], [[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]], ("a", "b", "c")),
    ],
)
def test_valid_answers_are_accepted(labels: Any, scores: Any, classes: Any) -> None:
    given = None if scores is None else np.array(scores)
    check_answers(Predictions(np.array(labels), given, classes), classes, 2)


@pytest.mark.parametrize(
    ("labels", "scores", "classes", "words"),
    [
        ([1.0], None, (), "found 1 answers to 2 rows"),
        ([1.0, np.inf], None, (), "found inf as a value"),
        ([0, 1], None, (0, 1), "found no probabilities"),
        ([0, 1], [0.5], (0, 1), "found no probabilities"),
        ([0, 7], [0.5, 0.5], (0, 1), "found class 7; allowed: 0, 1"),
        ([0, 1], [0.5, 1.2], (0, 1), "found 1.2 as a probability"),
        ([0, 1], [0.5, np.nan], (0, 1), "found nan as a probability"),
        ([0, 1], [[0.5, 0.2, 0.2], [0.4, 0.3, 0.3]], (0, 1, 2), "do not sum to 1"),
    ],
)
def test_an_invalid_answer_is_refused(labels: Any, scores: Any, classes: Any, words: str) -> None:
    given = None if scores is None else np.array(scores)
    with pytest.raises(AnswerInvalid, match=words):
        check_answers(Predictions(np.array(labels), given, classes), classes, 2)


def test_classes_are_named_as_callers_see_them() -> None:
    assert name_classes(["a", 1, True, 0.5]) == ["a", "1", "true", "0.5"]


def test_the_second_class_is_positive_where_none_is_named() -> None:
    assert find_places((0, 1), None) == (1, 0)
    assert find_places((0, 1), 0) == (0, 1)

"""Answers are checked: their number, finite values, known classes."""

import json
from typing import Any

import numpy as np
import pytest

from serving.models.signature import AnswerShape, encode_outputs
from sluice.errors import AnswerInvalid
from sluice.stats.holdout import Predictions

NAN = float("nan")
PAIR = AnswerShape(("no", "yes"), "yes")
THREE = AnswerShape(("early", "late", "on time"))
VALUE = AnswerShape(())


def binary(*scores: Any, label: Any = "yes") -> Predictions:
    return Predictions(np.array([label] * len(scores), dtype=object), np.array(scores))


def several(*scores: list[float], label: str = "late") -> Predictions:
    return Predictions(np.array([label] * len(scores), dtype=object), np.array(scores))


def test_answers_are_json_as_callers_get_it() -> None:
    found = PAIR.read(binary(0.75), 1)
    assert encode_outputs(found, many=False) == (
        b'{"prediction":"yes","probabilities":{"no":0.25,"yes":0.75}}'
    )
    found = THREE.read(several([0.25, 0.5, 0.25], [0.0, 1.0, 0.0]), 2)
    assert json.loads(encode_outputs(found, many=True))[1] == {
        "prediction": "late",
        "probabilities": {"early": 0.0, "late": 1.0, "on time": 0.0},
    }
    found = VALUE.read(Predictions(np.array([1.5, -2.0])), 2)
    assert encode_outputs(found, many=True) == b'[{"prediction":1.5},{"prediction":-2.0}]'


def test_classes_that_are_not_texts_are_named_as_in_json() -> None:
    shape = AnswerShape((False, True), True)
    (found,) = shape.read(Predictions(np.array([True]), np.array([0.75])), 1)
    assert encode_outputs([found], many=False) == (
        b'{"prediction":true,"probabilities":{"false":0.25,"true":0.75}}'
    )


def test_the_first_class_may_be_the_positive_one() -> None:
    (found,) = AnswerShape(("no", "yes"), "no").read(binary(0.75, label="no"), 1)
    assert found.probabilities == {"no": 0.75, "yes": 0.25}


@pytest.mark.parametrize(
    ("shape", "answers"),
    [
        (PAIR, binary(NAN)),
        (PAIR, binary(1.5)),
        (PAIR, binary(-0.1)),
        (PAIR, binary(0.5, label="perhaps")),
        (PAIR, binary(0.5, 0.5)),
        (PAIR, binary("0.5")),
        (PAIR, binary(None)),
        (PAIR, binary([0.5, 0.5])),
        (PAIR, Predictions(np.array(["yes"], dtype=object))),
        (PAIR, Predictions(np.array(["yes", "no"], dtype=object), np.array([0.5]))),
        (THREE, several([0.2, NAN, 0.2])),
        (THREE, several([0.5, 0.5])),
        (THREE, several([0.9, 0.9, 0.9])),
        (THREE, binary(0.5, label="late")),
        (VALUE, Predictions(np.array([NAN]))),
        (VALUE, Predictions(np.array([np.inf]))),
        (VALUE, Predictions(np.array(["many"], dtype=object))),
        (VALUE, Predictions(np.array([[1.0, 2.0]]))),
        (VALUE, Predictions(np.array([]))),
        (VALUE, Predictions(None)),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_answer_is_a_failure_of_its_arm(
    shape: AnswerShape, answers: Predictions
) -> None:
    with pytest.raises(AnswerInvalid, match=r"^found "):
        shape.read(answers, 1)

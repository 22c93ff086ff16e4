"""An answer is compared with its label where both say the same kind of thing."""

import pytest

from sluice.config.model import Problem
from sluice.data.traffic.labels import score_answer, score_answers


@pytest.mark.parametrize(
    ("problem", "outputs", "label", "scores"),
    [
        ("binary", '{"prediction": 1, "probabilities": {"0": 0.2, "1": 0.8}}', "1", [1.0]),
        ("binary", '{"prediction": 1}', "0", [0.0]),
        ("binary", '{"prediction": true}', "true", [1.0]),
        ("multiclass", '{"prediction": "late"}', '"early"', [0.0]),
        ("regression", '{"prediction": 2.5}', "4", [1.5]),
        ("regression", '[{"prediction": 2.5}, {"prediction": 3}]', "[2, 3]", [0.5, 0.0]),
    ],
)
def test_each_record_has_a_score(
    problem: Problem, outputs: str, label: str, scores: list[float]
) -> None:
    assert score_answer(problem, outputs, label) == scores


@pytest.mark.parametrize(
    ("problem", "outputs", "label"),
    [
        ("binary", "", "1"),
        ("binary", '{"prediction": 1}', None),
        ("binary", '{"prediction": 1}', "not json"),
        ("binary", '{"prediction": 1}', '"1"'),
        ("binary", '{"prediction": 1}', "[1]"),
        ("binary", '[{"prediction": 1}]', "1"),
        ("binary", '[{"prediction": 1}, {"prediction": 0}]', "[1]"),
        ("binary", "[1]", "[1]"),
        ("binary", "[]", "[]"),
        ("binary", '{"prediction": null}', "1"),
        ("regression", '{"prediction": 1}', "true"),
        ("regression", '{"prediction": 1}', "NaN"),
        ("regression", '{"prediction": "1"}', '"1"'),
    ],
)
def test_what_cannot_be_compared_has_none(
    problem: Problem, outputs: str, label: str | None
) -> None:
    assert score_answer(problem, outputs, label) is None


def test_answers_that_cannot_be_compared_are_counted() -> None:
    rows = [("a", '{"prediction": 1}', "1"), ("b", None, "1"), ("c", '[{"prediction": 0}]', "[1]")]
    assert score_answers("binary", rows) == (["a", "c"], [1.0, 0.0], 1)

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.stats.holdout import (
    Holdout,
    Predictions,
    find_gaps,
    find_score_gaps,
    mark_class,
    mark_predictions,
    name_values,
)

FRAME = pd.DataFrame({"a": [1, 2, 3]})
Y = np.array([0, 1, 1])


def test_complete_rows_and_predictions_have_no_gaps() -> None:
    predictions = Predictions(Y, np.array([0.1, 0.9, 1.0]))
    assert find_gaps(Holdout(Y, FRAME), predictions, "candidate") == []
    assert find_score_gaps("binary", predictions, "candidate") == []


def test_columns_of_other_rows_are_a_gap() -> None:
    found = find_gaps(Holdout(Y, FRAME.head(2)), Predictions(Y), "candidate")
    assert found == ["2 rows of columns for 3 held-out targets"]


@pytest.mark.parametrize("label", [np.nan, np.inf])
def test_values_that_are_not_finite_are_a_gap(label: float) -> None:
    predictions = Predictions(np.array([0.0, 1.0, label]))
    assert "in 1 of 3" in find_gaps(Holdout(Y, FRAME), predictions, "candidate")[0]


def test_null_labels_are_a_gap() -> None:
    predictions = Predictions(np.array(["yes", None, None], dtype=object))
    assert "in 2 of 3" in find_gaps(Holdout(Y, FRAME), predictions, "champion")[0]


def test_probabilities_of_the_wrong_shape_are_a_gap() -> None:
    predictions = Predictions(Y, np.ones((3, 2)) / 2)
    found = find_score_gaps("binary", predictions, "candidate")
    assert found == ["the candidate's probabilities have shape (3, 2), needed (3,)"]


def test_multiclass_needs_one_column_per_class() -> None:
    predictions = Predictions(Y, np.ones((3, 2)) / 2, ("a", "b", "c"))
    assert find_score_gaps("multiclass", predictions, "candidate")
    assert not find_score_gaps(
        "multiclass", Predictions(Y, predictions.scores, (0, 1)), "candidate"
    )


def test_regression_needs_no_probabilities() -> None:
    assert find_score_gaps("regression", Predictions(Y), "candidate") == []


@pytest.mark.parametrize(
    ("values", "value"),
    [(Y, 1), (Y == 1, True), (np.array(["no", "yes", "yes"]), "yes"), (Y, True)],
)
def test_class_is_marked_whatever_its_type(values: Any, value: Any) -> None:
    assert mark_class(values, value).tolist() == [0, 1, 1]


def test_marked_predictions_keep_their_scores() -> None:
    predictions = Predictions(np.array(["no", "yes"]), np.array([0.2, 0.7]))
    marked = mark_predictions(predictions, "yes")
    assert marked.labels.tolist() == [0, 1]
    assert marked.scores is predictions.scores


@pytest.mark.parametrize("kind", ["str", "category", "object"])
def test_values_are_named_and_nulls_have_a_name(kind: Any) -> None:
    frame = pd.DataFrame({"a": pd.Series(["x", None, "y"], dtype=kind)})
    assert name_values(frame, "a").tolist() == ["x", "(missing)", "y"]

"""Predictions are compared to the last bit, and the first fact that differs is the result."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sluice.reproduction.comparison import (
    Reproduction,
    compare_predictions,
    compare_rows,
    compare_value,
)
from sluice.reproduction.page import write_reproduction
from sluice.stats.holdout import Predictions

NUMBERS = arrays(np.float64, st.integers(1, 30), elements=st.floats(allow_nan=True))


def predict(*scores: float) -> Predictions:
    values = np.array(scores)
    return Predictions(values > 0.5, values, (False, True))


@given(NUMBERS)
def test_equal_predictions_are_the_same_with_nulls(values: Any) -> None:
    found = compare_predictions("rows", Predictions(values), Predictions(values.copy()))
    assert found.is_same
    assert found.n == len(values)


@given(NUMBERS, st.data())
def test_one_bit_more_is_found_where_it_is(values: Any, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = values.copy()
    if np.isnan(other[place]):
        other[place] = 0.0
    else:
        other.view(np.int64)[place] ^= 1
    found = compare_predictions("rows", Predictions(values), Predictions(other))
    assert found.differing == 1
    assert f"in row {place + 1}" in found.recorded


def test_a_score_counts_although_the_label_stays() -> None:
    found = compare_predictions("rows", predict(0.2, 0.7), predict(0.2, 0.7000000001))
    assert found.describe() == (
        "rows: recorded True at 0.7 in row 2, now True at 0.7000000001 (1 of 2 differ)"
    )


@pytest.mark.parametrize(
    "other",
    [
        predict(0.2),
        Predictions(np.array([False, True]), None, (False, True)),
        Predictions(np.array([False, True]), np.array([0.2, 0.7]), (True, False)),
        Predictions(np.array([False, True]), np.zeros((2, 2)), (False, True)),
    ],
    ids=["fewer rows", "no scores", "other classes", "other shape"],
)
def test_predictions_of_another_form_differ(other: Predictions) -> None:
    assert compare_predictions("rows", predict(0.2, 0.7), other).differing == 2


def test_rows_of_named_values_name_the_first_that_differs() -> None:
    rows = [{"relevance": 1.0}, {"relevance": 0.5, "format": 1.0}]
    assert compare_rows("answers", rows, [dict(row) for row in rows]).is_same
    found = compare_rows("answers", rows, [rows[0], {"relevance": 0.5, "format": 0.0}])
    assert (found.recorded, found.found) == ("format = 1.0 in number 2", "0.0")
    assert compare_rows("answers", rows, rows[:1]).differing == 2


def test_the_first_fact_that_decides_is_the_result() -> None:
    facts = (
        compare_value("platform", "linux", "macos", decides=False),
        compare_value("lock", "a", "b"),
        compare_predictions("held-out rows", predict(0.2, 0.7), predict(0.3, 0.7)),
    )
    found = Reproduction("churn", 3, facts)
    assert not found.is_identical
    assert found.describe() == (
        "the first that differs is lock: recorded a, now b; so do held-out rows"
    )
    assert "| platform | linux | macos | no, 1 of 1;<br>not decisive |" in write_reproduction(found)


def test_what_does_not_decide_may_differ() -> None:
    facts = (
        compare_value("platform", "linux", "macos", decides=False),
        compare_predictions("held-out rows", predict(0.2), predict(0.2)),
        compare_predictions("rows of the parity sample", predict(0.2, 0.7), predict(0.2, 0.7)),
    )
    found = Reproduction("churn", 3, facts)
    assert found.describe() == "identical: 2 rows of the parity sample"
    assert found.to_dict()["outcome"] == "identical"


def test_nothing_compared_is_not_called_a_comparison() -> None:
    assert Reproduction("churn", 3, ()).describe() == "identical"

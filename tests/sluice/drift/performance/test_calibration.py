"""Calibration curves are scikit-learn's, and probabilities stay probabilities."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import IsotonicRegression

from sluice.drift.performance.calibration import (
    CalibrationCurve,
    CalibrationCurves,
    fit_calibration,
)

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.random(2_000)
Y = (RANDOM.random(2_000) < SCORES**2).astype(int)


def test_curve_is_scikit_learns() -> None:
    oracle = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(SCORES, Y)
    others = np.linspace(-0.1, 1.1, 500)
    found = fit_calibration(Y, SCORES, (0, 1)).apply(others)[:, 1]
    np.testing.assert_allclose(found, oracle.predict(others), atol=1e-9)


def test_each_class_is_calibrated_against_the_rest_and_rows_are_renormalised() -> None:
    scores = RANDOM.dirichlet([1, 2, 3], 900)
    y = np.array([RANDOM.choice(["a", "b", "c"], p=row) for row in scores], dtype=object)
    curves = fit_calibration(y, scores, ("a", "b", "c"))
    each = [
        IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        .fit(scores[:, place], y == value)
        .predict(scores[:, place])
        for place, value in enumerate("abc")
    ]
    expected = np.column_stack(each)
    np.testing.assert_allclose(
        curves.apply(scores), expected / expected.sum(axis=1, keepdims=True), atol=1e-9
    )


def test_row_that_every_curve_excludes_keeps_its_scores() -> None:
    never = CalibrationCurve((0.0, 1.0), (0.0, 0.0))
    found = CalibrationCurves((never, never), 10).apply(np.array([[0.3, 0.7]]))
    assert found.tolist() == [[0.3, 0.7]]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (20,), elements=st.floats(0, 1)), st.integers(0, 2**20 - 1))
def test_calibrated_rows_are_probabilities(scores: np.ndarray, bits: int) -> None:
    y = np.array([bits >> place & 1 for place in range(20)])
    found = fit_calibration(y, scores, (0, 1)).apply(scores)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)

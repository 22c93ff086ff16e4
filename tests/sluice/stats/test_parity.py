import numpy as np
import pytest

from sluice.stats.holdout import Predictions
from sluice.stats.parity import ParityEvidence, measure_parity

CLASSES = ("no", "yes")


def make_predictions(scores: list[float], labels: list[str] | None = None) -> Predictions:
    named = labels or ["yes" if score >= 0.5 else "no" for score in scores]
    return Predictions(np.array(named, dtype=object), np.array(scores), CLASSES)


def test_equal_predictions_do_not_differ() -> None:
    found = measure_parity(make_predictions([0.2, 0.7]), make_predictions([0.2, 0.7]))
    assert (found.n, found.difference, found.beyond, found.flips) == (2, 0.0, 0, 0)


def test_limit_grows_with_the_prediction() -> None:
    """NumPy's `isclose` has the same rule."""
    expected = np.array([0.0, 1.0, 1e6, -1e6])
    found = expected + np.array([0.9e-5, 1.9e-5, 9.0, 11.0])
    evidence = measure_parity(Predictions(expected), Predictions(found))
    assert evidence.beyond == int((~np.isclose(found, expected, rtol=1e-5, atol=1e-5)).sum()) == 1
    assert evidence.difference == pytest.approx(11.0)
    assert evidence.allowed == pytest.approx(10.00001)


def test_a_label_that_flips_counts_however_small_the_difference() -> None:
    found = measure_parity(make_predictions([0.5 - 1e-9, 0.7]), make_predictions([0.5, 0.7]))
    assert (found.beyond, found.flips) == (0, 1)


def test_numbers_have_no_labels_to_flip() -> None:
    values = np.array([1.0, 2.0])
    assert measure_parity(Predictions(values), Predictions(values + 1e-9)).flips == 0


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_is_beyond_every_limit(odd: float) -> None:
    found = measure_parity(
        make_predictions([0.2, 0.7]), make_predictions([0.2, odd], ["no", "yes"])
    )
    assert (found.difference, found.beyond) == (np.inf, 1)


def test_one_class_of_many_is_enough() -> None:
    labels, classes = np.array(["a", "b"], dtype=object), ("a", "b", "c")
    expected = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    found = expected + np.array([[0.0, 0.0, 0.0], [1e-3, 0.0, -1e-3]])
    evidence = measure_parity(
        Predictions(labels, expected, classes), Predictions(labels, found, classes)
    )
    assert evidence.beyond == 1


def test_no_rows_are_missing_evidence() -> None:
    empty = Predictions(np.array([], dtype=object), np.empty(0), CLASSES)
    assert measure_parity(empty, empty).missing == "there is no held-out row to compare on"


def test_other_classes_or_rows_are_missing_evidence() -> None:
    other = Predictions(np.array(["no"], dtype=object), np.array([0.2]), ("no", "maybe"))
    for exported in (other, make_predictions([0.2, 0.3])):
        found = measure_parity(make_predictions([0.2]), exported)
        assert "other classes or other rows" in found.missing


def test_evidence_is_json_ready() -> None:
    assert ParityEvidence(3, 0.0, 1e-5).to_dict()["allowed"] == 1e-5

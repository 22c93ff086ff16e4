"""Expected metrics agree with scikit-learn on the expanded rows, and with simulated outcomes."""

import numpy as np
import pytest
from sklearn import metrics

from sluice.drift.performance.expected import expect_metric
from sluice.metrics import METRICS
from sluice.stats.holdout import Predictions

RANDOM = np.random.default_rng(4)
SCORES = RANDOM.beta(2, 2, 300).round(2)
PAIRS = np.column_stack([1 - SCORES, SCORES])
BINARY = Predictions((SCORES >= 0.5).astype(int), SCORES)
CLASSES = ("a", "b", "c")
THREE = RANDOM.dirichlet([1.0, 1.0, 1.0], 300)
SEVERAL = Predictions(np.array(CLASSES, dtype=object)[THREE.argmax(axis=1)], THREE, CLASSES)


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("accuracy", metrics.accuracy_score),
        ("f1", metrics.f1_score),
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
    ],
)
def test_binary_metrics_are_those_of_the_expected_confusion_matrix(
    name: str, score: object
) -> None:
    weights = PAIRS.T.ravel()
    y, labels = np.repeat([0, 1], 300), np.tile(BINARY.labels, 2)
    expected = score(y, labels, sample_weight=weights)  # type: ignore[operator]
    found = expect_metric(name, "binary", PAIRS, BINARY)
    assert found.value == pytest.approx(expected, abs=1e-9)


def test_area_weights_each_pair_by_both_probabilities() -> None:
    weights = PAIRS.T.ravel()
    y, scores = np.repeat([0, 1], 300), np.tile(SCORES, 2)
    expected = metrics.roc_auc_score(y, scores, sample_weight=weights)
    found = expect_metric("auc", "binary", PAIRS, BINARY)
    assert found.value == pytest.approx(expected, abs=1e-9)


def test_macro_f1_of_several_classes() -> None:
    y = np.repeat(np.array(CLASSES, dtype=object), 300)
    labels = np.tile(SEVERAL.labels, 3)
    expected = metrics.f1_score(y, labels, average="macro", sample_weight=THREE.T.ravel())
    found = expect_metric("macro_f1", "multiclass", THREE, SEVERAL)
    assert found.value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "f1", "auc", "log_loss"])
def test_real_figures_scatter_around_the_expected_one_as_its_noise_says(name: str) -> None:
    found = expect_metric(name, "binary", PAIRS, BINARY)
    assert found.value is not None
    assert found.noise is not None
    random = np.random.default_rng(5)
    outcomes = (random.random((2_000, 300)) < SCORES).astype(int)
    metric = METRICS[name]
    real = np.array([metric.compute("binary", y, BINARY) for y in outcomes])
    assert real.mean() == pytest.approx(found.value, abs=4 * found.noise / np.sqrt(2_000) + 1e-3)
    assert real.std() == pytest.approx(found.noise, rel=0.08)


def test_sampling_error_is_that_of_other_rows() -> None:
    found = expect_metric("accuracy", "binary", PAIRS, BINARY)
    right = np.maximum(SCORES, 1 - SCORES)
    assert found.sampling == pytest.approx(right.std() / np.sqrt(300), rel=1e-6)


def test_rows_that_leave_a_metric_undefined_have_none() -> None:
    certain = np.column_stack([np.ones(5), np.zeros(5)])
    given = Predictions(np.zeros(5, dtype=int), np.zeros(5))
    assert expect_metric("auc", "binary", certain, given).value is None
    assert expect_metric("recall", "binary", certain, given).value is None
    assert expect_metric("accuracy", "binary", certain[:0], given).value is None

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.errors import ConfigInvalid
from sluice.metrics import METRICS, check_metrics, list_metrics
from sluice.stats.holdout import Predictions

ORACLES: dict[tuple[str, str], Any] = {
    ("binary", "auc"): lambda y, p: sk.roc_auc_score(y, p.scores),
    ("binary", "average_precision"): lambda y, p: sk.average_precision_score(y, p.scores),
    ("binary", "accuracy"): lambda y, p: sk.accuracy_score(y, p.labels),
    ("binary", "balanced_accuracy"): lambda y, p: sk.balanced_accuracy_score(y, p.labels),
    ("binary", "precision"): lambda y, p: sk.precision_score(y, p.labels),
    ("binary", "recall"): lambda y, p: sk.recall_score(y, p.labels),
    ("binary", "f1"): lambda y, p: sk.f1_score(y, p.labels),
    ("binary", "log_loss"): lambda y, p: sk.log_loss(y, p.scores),
    ("binary", "brier"): lambda y, p: sk.brier_score_loss(y, p.scores),
    ("multiclass", "accuracy"): lambda y, p: sk.accuracy_score(y, p.labels),
    ("multiclass", "balanced_accuracy"): lambda y, p: sk.balanced_accuracy_score(y, p.labels),
    ("multiclass", "macro_f1"): lambda y, p: sk.f1_score(y, p.labels, average="macro"),
    ("multiclass", "log_loss"): lambda y, p: sk.log_loss(y, p.scores, labels=list(p.classes)),
    ("multiclass", "auc_ovr"): lambda y, p: sk.roc_auc_score(y, p.scores, multi_class="ovr"),
    ("regression", "mae"): lambda y, p: sk.mean_absolute_error(y, p.labels),
    ("regression", "rmse"): lambda y, p: sk.root_mean_squared_error(y, p.labels),
    ("regression", "r2"): lambda y, p: sk.r2_score(y, p.labels),
    ("regression", "mape"): lambda y, p: sk.mean_absolute_percentage_error(y, p.labels),
}


def make_rows(problem: str, n: int, seed: int) -> tuple[NDArray[Any], Predictions]:
    """Return rows with scores rounded to one decimal, so that many are tied."""
    random = np.random.default_rng(seed)
    if problem == "regression":
        y = random.normal(10, 3, n)
        return y, Predictions(y + random.normal(0, 1, n))
    if problem == "binary":
        y = random.integers(0, 2, n)
        scores = np.round(np.clip(0.5 + 0.2 * (y - 0.5) + random.normal(0, 0.2, n), 0, 1), 1)
        return y, Predictions((scores >= 0.5).astype(int), scores)
    classes = ("high", "low", "middle")
    place = random.integers(0, 3, n)
    raw = np.round(random.random((n, 3)), 1) + 0.1 + 0.5 * np.eye(3)[place]
    scores = raw / raw.sum(axis=1, keepdims=True)
    names = np.array(classes, dtype=object)
    return names[place], Predictions(names[scores.argmax(axis=1)], scores, classes)


def test_every_metric_has_an_oracle() -> None:
    served = {(problem, name) for name, metric in METRICS.items() for problem in metric.prepare}
    assert served == set(ORACLES)


@pytest.mark.parametrize(("problem", "name"), ORACLES)
def test_unweighted_metric_equals_scikit_learn(problem: Any, name: str) -> None:
    y, predictions = make_rows(problem, 400, seed=1)
    found = METRICS[name].compute(problem, y, predictions)
    assert found == pytest.approx(ORACLES[problem, name](y, predictions), abs=1e-12)


@pytest.mark.parametrize(("problem", "name"), ORACLES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_integer_weights_equal_repeated_rows(problem: Any, name: str, seed: int) -> None:
    y, predictions = make_rows(problem, 40, seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    scores = None if predictions.scores is None else predictions.scores[rows]
    repeated = Predictions(predictions.labels[rows], scores, predictions.classes)
    weighted = METRICS[name].prepare[problem](y, predictions)(weights[None, :].astype(float))[0]
    plain = METRICS[name].compute(problem, y[rows], repeated)
    assert weighted == pytest.approx(plain, abs=1e-9, nan_ok=True)


def test_weighted_auc_with_ties_equals_scikit_learn() -> None:
    y, predictions = make_rows("binary", 300, seed=2)
    weights = np.random.default_rng(3).random((5, 300))
    found = METRICS["auc"].prepare["binary"](y, predictions)(weights)
    expected = [sk.roc_auc_score(y, predictions.scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_weighted_average_precision_equals_scikit_learn() -> None:
    y, predictions = make_rows("binary", 300, seed=4)
    weights = np.random.default_rng(5).random((5, 300))
    found = METRICS["average_precision"].prepare["binary"](y, predictions)(weights)
    expected = [sk.average_precision_score(y, predictions.scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_auc_of_reversed_scores_is_its_complement(seed: int) -> None:
    y, predictions = make_rows("binary", 30, seed)
    assert predictions.scores is not None
    reverse = Predictions(predictions.labels, -predictions.scores)
    both = [METRICS["auc"].compute("binary", y, each) for each in (predictions, reverse)]
    assert sum(both) == pytest.approx(1.0, nan_ok=True)


@pytest.mark.parametrize("name", ["auc", "average_precision", "recall", "f1", "balanced_accuracy"])
def test_metric_without_positives_is_undefined(name: str) -> None:
    predictions = Predictions(np.zeros(5, dtype=int), np.linspace(0, 1, 5))
    assert np.isnan(METRICS[name].compute("binary", np.zeros(5, dtype=int), predictions))


def test_precision_without_predicted_positives_is_zero() -> None:
    y, predictions = np.array([0, 1, 1]), Predictions(np.zeros(3, dtype=int), np.zeros(3))
    assert METRICS["precision"].compute("binary", y, predictions) == 0.0


def test_metric_of_no_rows_is_undefined() -> None:
    empty = Predictions(np.empty(0))
    assert np.isnan(METRICS["mae"].compute("regression", np.empty(0), empty))


def test_class_that_was_not_in_training_has_probability_zero() -> None:
    y = np.array(["a", "b", "c", "c"], dtype=object)
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.5, 0.5]])
    predictions = Predictions(np.array(["a", "b", "a", "b"], dtype=object), scores, ("a", "b"))
    assert METRICS["log_loss"].compute("multiclass", y, predictions) > 15
    assert METRICS["auc_ovr"].compute("multiclass", y, predictions) < 1.0


def test_balanced_accuracy_of_one_class_is_undefined() -> None:
    y = np.array(["a", "a"], dtype=object)
    predictions = Predictions(y, np.ones((2, 1)), ("a",))
    assert np.isnan(METRICS["balanced_accuracy"].compute("multiclass", y, predictions))


def test_sign_of_a_loss_is_negative() -> None:
    assert (METRICS["auc"].sign, METRICS["log_loss"].sign) == (1.0, -1.0)


def test_no_metric_warns_on_degenerate_rows() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in list_metrics("binary"):
            METRICS[name].compute("binary", np.ones(4), Predictions(np.ones(4), np.ones(4)))


def change(**sections: dict[str, Any]) -> ServiceConfig:
    values = load_service("employment", "production").model_dump()
    for section, changes in sections.items():
        values[section] = {**values[section], **changes} if section != "problem" else changes
    return ServiceConfig.model_validate(values)


def test_default_service_names_metrics_of_its_problem() -> None:
    check_metrics(load_service("employment", "production"))


def test_unknown_primary_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(ConfigInvalid, match=r"evaluation\.primary: 'rmse'.*allowed: auc"):
        check_metrics(change(evaluation={"primary": "rmse"}))


def test_unknown_floor_is_refused_by_its_key() -> None:
    with pytest.raises(ConfigInvalid, match=r"evaluation\.floors\.acuracy"):
        check_metrics(change(evaluation={"floors": {"acuracy": 0.5}}))


def test_calibration_limits_are_refused_for_problems_that_are_not_binary() -> None:
    values = {"primary": "accuracy", "floors": {}}
    config = change(evaluation=values).model_copy(update={"problem": "multiclass"})
    with pytest.raises(ConfigInvalid, match=r"evaluation\.calibration"):
        check_metrics(config)


def test_multiclass_service_without_a_favourable_class_is_refused() -> None:
    values = {"primary": "accuracy", "floors": {}, "calibration": None}
    config = change(evaluation=values)
    bias = config.bias.model_copy(update={"favourable": None})
    config = config.model_copy(update={"problem": "multiclass", "bias": bias})
    with pytest.raises(ConfigInvalid, match=r"bias\.favourable"):
        check_metrics(config)


def test_percentage_error_of_a_target_of_zero_is_undefined() -> None:
    predictions = Predictions(np.array([1.0, 2.0, 3.0]))
    assert np.isnan(METRICS["mape"].compute("regression", np.array([0.0, 2.0, 4.0]), predictions))

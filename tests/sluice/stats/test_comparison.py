import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from sluice.config.evaluation import EvaluationConfig, Slices
from sluice.stats.comparison import EvaluationEvidence, measure_evaluation
from sluice.stats.holdout import Holdout, Predictions

N = 1_200


def make_predictions(y: np.ndarray[Any, Any], noise: float, seed: int) -> Predictions:
    logit = 2.0 * (y - 0.5) + np.random.default_rng(seed).normal(0, noise, len(y))
    scores = 1 / (1 + np.exp(-logit))
    return Predictions((scores >= 0.5).astype(int), scores)


def make_holdout(n: int = N, seed: int = 0) -> Holdout:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"sex": random.choice(["f", "m"], n), "home": np.repeat(np.arange(n // 4), 4)}
    )
    return Holdout(random.integers(0, 2, n), frame)


def measure(with_champion: bool = True, **limits: Any) -> EvaluationEvidence:
    config = EvaluationConfig(**{"primary": "auc", "draws": 1000, **limits})
    holdout = make_holdout()
    candidate = make_predictions(holdout.y, 1.5, 1)
    champion = make_predictions(holdout.y, 1.7, 2) if with_champion else None
    return measure_evaluation(config, "binary", 1, holdout, candidate, champion)


def interval(evidence: EvaluationEvidence, name: str) -> tuple[float, float]:
    figure = evidence.find_metric(name)
    assert figure is not None
    assert figure.difference is not None
    assert figure.difference.interval is not None
    return figure.difference.interval


def test_paired_interval_of_the_auc_agrees_with_scipy() -> None:
    holdout = make_holdout()
    candidate, champion = make_predictions(holdout.y, 1.5, 1), make_predictions(holdout.y, 1.7, 2)
    oracle = stats.bootstrap(
        (holdout.y, candidate.scores, champion.scores),
        lambda y, a, b: roc_auc_score(y, a) - roc_auc_score(y, b),
        paired=True, vectorized=False, n_resamples=600, confidence_level=0.9,
        method="percentile", rng=5,
    )  # fmt: skip
    found = interval(measure(draws=4000), "auc")
    assert found == pytest.approx(oracle.confidence_interval, abs=0.004)


def test_paired_interval_of_the_accuracy_agrees_with_the_paired_t() -> None:
    holdout = make_holdout()
    candidate, champion = make_predictions(holdout.y, 1.5, 1), make_predictions(holdout.y, 1.7, 2)
    difference = (candidate.labels == holdout.y).astype(float) - (champion.labels == holdout.y)
    oracle = stats.ttest_1samp(difference, 0).confidence_interval(0.9)
    assert interval(measure(draws=4000), "accuracy") == pytest.approx(tuple(oracle), abs=0.002)


def test_spread_of_the_accuracy_is_the_deviation_of_the_paired_difference() -> None:
    holdout = make_holdout()
    candidate, champion = make_predictions(holdout.y, 1.5, 1), make_predictions(holdout.y, 1.7, 2)
    difference = (candidate.labels == holdout.y).astype(float) - (champion.labels == holdout.y)
    figure = measure(draws=4000).find_metric("accuracy")
    assert figure is not None
    assert figure.difference is not None
    assert figure.difference.spread == pytest.approx(difference.std(ddof=1), rel=0.05)


@pytest.mark.parametrize("name", ["auc", "accuracy", "log_loss"])
def test_swapping_candidate_and_champion_mirrors_the_interval(name: str) -> None:
    config, holdout = EvaluationConfig(primary="auc", draws=500), make_holdout()
    candidate, champion = make_predictions(holdout.y, 1.5, 1), make_predictions(holdout.y, 1.7, 2)
    there = interval(measure_evaluation(config, "binary", 1, holdout, candidate, champion), name)
    back = interval(measure_evaluation(config, "binary", 1, holdout, champion, candidate), name)
    assert there == pytest.approx((-back[1], -back[0]))


def test_difference_of_a_loss_is_turned_so_that_positive_is_better() -> None:
    figure = measure().find_metric("brier")
    assert figure is not None
    assert figure.champion is not None
    assert figure.difference is not None
    assert figure.difference.value == pytest.approx(
        (figure.champion.value or 0) - (figure.candidate.value or 0)
    )


def test_equal_models_differ_by_nothing() -> None:
    holdout = make_holdout()
    same = make_predictions(holdout.y, 1.5, 1)
    config = EvaluationConfig(primary="auc", draws=300)
    evidence = measure_evaluation(config, "binary", 1, holdout, same, same)
    assert interval(evidence, "auc") == (0.0, 0.0)


def test_same_seed_measures_the_same() -> None:
    assert measure() == measure()


def test_evidence_is_json() -> None:
    evidence = measure(slices=Slices(columns=("sex",)), floors={"auc": 0.5})
    assert json.loads(json.dumps(evidence.to_dict(), allow_nan=False))["n"] == N


def test_labels_may_be_the_target_s_own_words() -> None:
    holdout = make_holdout()
    words = Holdout(np.where(holdout.y == 1, "yes", "no").astype(object), holdout.frame)
    plain = make_predictions(holdout.y, 1.5, 1)
    worded = Predictions(np.where(plain.labels == 1, "yes", "no").astype(object), plain.scores)
    config = EvaluationConfig(primary="auc", draws=300)
    there = measure_evaluation(config, "binary", "yes", words, worded, None)
    here = measure_evaluation(config, "binary", 1, holdout, plain, None)
    assert there.metrics == here.metrics


def test_groups_are_drawn_whole() -> None:
    evidence = measure(group="home")
    assert (evidence.n, evidence.units) == (N, N // 4)


def test_threshold_is_kept_as_a_fact() -> None:
    holdout = make_holdout()
    config = EvaluationConfig(primary="auc", draws=200)
    candidate = make_predictions(holdout.y, 1.5, 1)
    evidence = measure_evaluation(config, "binary", 1, holdout, candidate, None, threshold=0.4)
    assert evidence.threshold == 0.4


def test_multiclass_problem_is_measured_by_its_own_metrics() -> None:
    random = np.random.default_rng(0)
    classes, place = ("a", "b", "c"), random.integers(0, 3, 400)
    raw = random.random((400, 3)) + np.eye(3)[place]
    scores = raw / raw.sum(axis=1, keepdims=True)
    names = np.array(classes, dtype=object)
    candidate = Predictions(names[scores.argmax(axis=1)], scores, classes)
    config = EvaluationConfig(primary="macro_f1", draws=200)
    holdout = Holdout(names[place], pd.DataFrame(index=range(400)))
    evidence = measure_evaluation(config, "multiclass", None, holdout, candidate, candidate)
    assert evidence.find_metric("auc_ovr") is not None
    assert evidence.gap is None


def test_regression_is_measured_by_its_own_metrics() -> None:
    y = np.random.default_rng(0).normal(size=300)
    config = EvaluationConfig(primary="mae", draws=200)
    holdout = Holdout(y, pd.DataFrame(index=range(300)))
    evidence = measure_evaluation(config, "regression", None, holdout, Predictions(y + 1), None)
    assert {figure.name for figure in evidence.metrics} == {"mae", "rmse", "r2", "mape"}

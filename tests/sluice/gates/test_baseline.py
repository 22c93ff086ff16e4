"""Every model has to beat the best answer without features; what was not measured never passes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.stats.baseline import BaselineFigure
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import EvaluationEvidence
from sluice.stats.holdout import Predictions
from sluice.verdict import Check, Outcome, Verdict

N = 1_000
RNG = np.random.default_rng(4)
NOISE, TRUE = RNG.random(N), RNG.integers(0, 2, N)
PARTS = {
    "binary": ("auc", "accuracy", "f1", "log_loss", "brier", "average_precision", "recall"),
    "multiclass": ("accuracy", "macro_f1", "auc_ovr", "log_loss", "balanced_accuracy"),
    "regression": ("rmse", "mae", "r2", "mape"),
}
CASES = [(problem, metric) for problem, metrics in PARTS.items() for metric in metrics]


def build(problem: str, skill: float) -> tuple[np.ndarray[Any, Any], Predictions]:
    """Return targets, and predictions that are right in a share of `skill`, else by chance."""
    knows = skill > NOISE
    if problem == "regression":
        y = 50.0 + 10.0 * np.random.default_rng(1).normal(size=N)
        return y, Predictions(np.where(knows, y, y[::-1]))
    classes = ("a", "b", "c")[: 2 if problem == "binary" else 3]
    y = np.random.default_rng(2).integers(0, len(classes), N)
    seen = np.where(knows, y, np.random.default_rng(7).integers(0, len(classes), N))
    scores = np.full((N, len(classes)), 0.2)
    scores[np.arange(N), seen] = 0.7
    scores /= scores.sum(axis=1, keepdims=True)
    scores += np.random.default_rng(5).uniform(0, 1e-3, scores.shape)
    scores /= scores.sum(axis=1, keepdims=True)
    if problem == "binary":
        return y, Predictions(seen, scores[:, 1])
    names = np.array(classes, dtype=object)
    return names[y], Predictions(names[seen], scores, classes)


def measure(problem: str, metric: str, skill: float) -> EvaluationEvidence:
    y, candidate = build(problem, skill)
    config = EvaluationConfig(primary=metric, draws=400)
    kind: Any = problem
    holdout = Holdout(y, pd.DataFrame(index=range(N)))
    return measure_evaluation(config, kind, 1, holdout, candidate, None, training=y)


def judge(evidence: EvaluationEvidence, **limits: Any) -> Verdict:
    return EvaluationGate(EvaluationConfig(primary=evidence.primary, **limits)).judge(evidence)


def find(verdict: Verdict) -> Check:
    return next(item for item in verdict.checks if "against a constant answer" in item.name)


@pytest.mark.parametrize(("problem", "metric"), CASES)
def test_a_model_that_knows_the_target_passes_by_every_metric(problem: str, metric: str) -> None:
    verdict = judge(measure(problem, metric, 0.8))
    assert find(verdict).outcome is Outcome.PASS
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(("problem", "metric"), CASES)
def test_a_model_that_knows_nothing_passes_by_no_metric(problem: str, metric: str) -> None:
    verdict = judge(measure(problem, metric, 0.0))
    assert find(verdict).outcome is not Outcome.PASS
    assert not verdict.passed


def test_an_auc_near_chance_is_insufficient_with_the_rows_that_would_decide() -> None:
    """The model of a file whose only feature was not read: auc .524 [.472, .579]."""
    y = np.random.default_rng(0).integers(0, 2, 426)
    scores = np.clip(0.5 + 0.02 * y + np.random.default_rng(5).uniform(-0.3, 0.3, 426), 0, 1)
    config = EvaluationConfig(primary="auc", draws=400)
    weak = Predictions((scores > 0.5).astype(int), scores)
    holdout = Holdout(y, pd.DataFrame(index=range(426)))
    evidence = measure_evaluation(config, "binary", 1, holdout, weak, None, training=y)
    assert evidence.baseline is not None
    assert evidence.baseline.value == 0.5
    verdict = EvaluationGate(config).judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith("auc .")
    assert "hold out about" in verdict.next_step
    assert "(now 426)" in verdict.next_step


def test_a_gain_on_the_wrong_side_asks_for_no_rows() -> None:
    evidence = replace(
        measure("binary", "auc", 0.0),
        baseline=BaselineFigure("auc", 0.5, Estimate(-0.01, -0.04, 0.02, N, 0.02)),
    )
    verdict = judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "no number of rows" in verdict.next_step


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.001, 0.1, Outcome.PASS),
        (0.0, 0.1, Outcome.INSUFFICIENT),
        (-0.1, 0.001, Outcome.INSUFFICIENT),
        (-0.1, 0.0, Outcome.FAIL),
    ],
)
def test_the_bounds_decide_to_their_ends(low: float, high: float, outcome: Outcome) -> None:
    gain = Estimate((low + high) / 2, low, high, N, 0.01)
    evidence = replace(measure("binary", "auc", 0.8), baseline=BaselineFigure("auc", 0.5, gain))
    assert find(judge(evidence)).outcome is outcome


@pytest.mark.parametrize("baseline", [None, BaselineFigure("auc", None, None)])
def test_a_baseline_that_was_not_measured_is_insufficient(baseline: BaselineFigure | None) -> None:
    verdict = judge(replace(measure("binary", "auc", 0.8), baseline=baseline))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "against a constant answer" in verdict.reason


def test_an_error_below_the_constant_s_is_shown_in_its_own_direction() -> None:
    check = find(judge(measure("regression", "rmse", 0.8)))
    assert check.measured is not None
    assert check.measured < 0
    assert (check.limit, check.relation) == (0.0, "<")


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_each_error_has_its_own_constant(metric: str) -> None:
    """On a skewed target the median is a worse constant for rmse, the mean for mae."""
    training = np.random.default_rng(0).lognormal(0, 1.5, 5_000)
    y = np.random.default_rng(1).lognormal(0, 1.5, N)
    best = {"rmse": training.mean(), "mae": np.median(training)}[metric]
    config = EvaluationConfig(primary=metric, draws=400)
    constant = Predictions(np.full(N, best))
    holdout = Holdout(y, pd.DataFrame(index=range(N)))
    evidence = measure_evaluation(
        config, "regression", None, holdout, constant, None, training=training
    )
    assert evidence.baseline is not None
    assert evidence.baseline.gain is not None
    assert evidence.baseline.gain.value == pytest.approx(0.0)
    assert find(judge(evidence)).outcome is Outcome.FAIL


def test_always_the_rare_class_is_no_gain_by_f1() -> None:
    y = (np.random.default_rng(0).random(N) < 0.2).astype(int)
    always = Predictions(np.ones(N, dtype=int), np.full(N, 0.9))
    config = EvaluationConfig(primary="f1", draws=400)
    holdout = Holdout(y, pd.DataFrame(index=range(N)))
    evidence = measure_evaluation(config, "binary", 1, holdout, always, None, training=y)
    assert find(EvaluationGate(config).judge(evidence)).outcome is Outcome.FAIL


def test_always_positive_does_not_pass_by_recall() -> None:
    always = Predictions(np.ones(N, dtype=int), np.full(N, 0.9))
    config = EvaluationConfig(primary="recall", draws=400)
    holdout = Holdout(TRUE, pd.DataFrame(index=range(N)))
    evidence = measure_evaluation(config, "binary", 1, holdout, always, None, training=TRUE)
    check = find(EvaluationGate(config).judge(evidence))
    assert check.name == "balanced_accuracy against a constant answer"
    assert check.outcome is Outcome.FAIL

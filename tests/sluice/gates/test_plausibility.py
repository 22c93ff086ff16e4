"""An implausibly good model waits for a person, whatever the kind of problem."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from sluice.config.evaluation import EvaluationConfig, Plausibility
from sluice.control.approval import may_stay_open
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.gates.plausibility import find_limit, is_implausible
from sluice.stats.comparison import Acceptance, EvaluationEvidence, Lineage
from sluice.stats.holdout import Predictions
from sluice.verdict import Check, Outcome, Verdict

N = 1_000
PRIMARY = {"binary": "log_loss", "multiclass": "accuracy", "regression": "mae"}
PROBLEMS = list(PRIMARY)


def measure(problem: str, noise: float) -> EvaluationEvidence:
    """Measure a model whose scores, or values, are the answer with noise."""
    random = np.random.default_rng(0)
    kind: Any = problem
    if problem == "regression":
        y = random.normal(100, 10, N)
        candidate = Predictions(y + 10 * noise * random.normal(size=N))
    elif problem == "binary":
        y = random.integers(0, 2, N)
        scores = 1 / (1 + np.exp(-(4 * (y - 0.5) + 4 * noise * random.normal(size=N))))
        candidate = Predictions((scores > 0.5).astype(int), scores)
    else:
        classes = ("a", "b", "c")
        place = random.integers(0, 3, N)
        raw = np.exp(4 * np.eye(3)[place] + 4 * noise * random.normal(size=(N, 3)))
        scores = raw / raw.sum(axis=1, keepdims=True)
        names = np.array(classes, dtype=object)
        y, candidate = names[place], Predictions(names[scores.argmax(axis=1)], scores, classes)
    config = EvaluationConfig(primary=PRIMARY[problem], draws=300)
    holdout = Holdout(y, pd.DataFrame(index=range(N)))
    found = measure_evaluation(config, kind, 1, holdout, candidate, None, training=y)
    return replace(found, lineage=Lineage(service="flights"))


def judge(evidence: EvaluationEvidence, **plausibility: Any) -> Verdict:
    limits = EvaluationConfig(primary=evidence.primary, plausibility=Plausibility(**plausibility))
    return EvaluationGate(limits).judge(evidence)


def find(verdict: Verdict) -> Check:
    return next(item for item in verdict.checks if item.name.startswith("plausibility of "))


def accept(evidence: EvaluationEvidence, high: float) -> EvaluationEvidence:
    given = Acceptance(3, "Ada", "the instrument measures the target", high - 0.0003, high)
    return replace(evidence, acceptance=given)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_good_model_is_plausible(problem: str) -> None:
    verdict = judge(measure(problem, 0.5))
    assert verdict.passed, verdict.message
    assert find(verdict).outcome is Outcome.PASS


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_nearly_perfect_model_waits_for_a_person(problem: str) -> None:
    verdict = judge(measure(problem, 0.02))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith(find(verdict).name.removeprefix("plausibility of "))
    assert "`sluice approve flights --by NAME --reason WORDS`" in verdict.next_step
    assert "evaluation.plausibility.accepted" in verdict.next_step
    assert may_stay_open(verdict, "halt")


def test_other_open_questions_still_halt() -> None:
    evidence = replace(measure("binary", 0.02), baseline=None)
    verdict = judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert not may_stay_open(verdict, "halt")
    assert may_stay_open(verdict, "approve")


def test_a_failed_check_is_no_question() -> None:
    evidence = measure("binary", 0.02)
    limits = EvaluationConfig(primary="log_loss", floors={"log_loss": 1e-9})
    verdict = EvaluationGate(limits).judge(evidence)
    assert verdict.outcome is Outcome.FAIL
    assert not may_stay_open(verdict, "approve")


def test_a_reason_in_the_configuration_accepts_it_with_a_notice() -> None:
    verdict = judge(measure("binary", 0.02), accepted="poisonous mushrooms smell")
    assert verdict.passed
    assert find(verdict).outcome is Outcome.LISTED
    assert any("poisonous mushrooms smell" in notice for notice in verdict.notices)


def test_a_person_s_acceptance_holds_for_a_model_that_is_no_better() -> None:
    verdict = judge(accept(measure("regression", 0.05), 0.9995))
    assert verdict.passed
    assert any("Ada accepted .999 of the same features in v3" in one for one in verdict.notices)


def test_a_better_model_than_was_accepted_is_asked_about_again() -> None:
    assert not judge(accept(measure("regression", 0.01), 0.9995)).passed


@pytest.mark.parametrize("share", [0.9, 0.99, 1.0])
def test_one_share_is_the_limit_of_every_kind_of_problem(share: float) -> None:
    limits = EvaluationConfig(primary="auc", plausibility=Plausibility(share=share))
    assert find_limit(limits, "regression") == share
    assert find_limit(limits, "binary") == pytest.approx((1 + share) / 2)
    assert find_limit(limits, "multiclass") == find_limit(limits, "binary")


def test_a_perfect_model_is_implausible_at_the_highest_share() -> None:
    limits = EvaluationConfig(primary="auc", plausibility=Plausibility(share=1.0))
    assert is_implausible(limits, measure("binary", 0.0))


@pytest.mark.parametrize("share", [0.5, 1.01])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(ValidationError):
        Plausibility(share=share)


def test_blanks_are_no_reason() -> None:
    with pytest.raises(ValidationError, match="a reason in words"):
        Plausibility(accepted="  ")

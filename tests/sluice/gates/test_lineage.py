"""The evaluation gate on data of another age, on a candidate without news, on a lost champion."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.stats.comparison import EvaluationEvidence, Lineage
from sluice.stats.holdout import Predictions
from sluice.verdict import Check, Outcome, Verdict

ROWS = 4000
LIMITS = EvaluationConfig(primary="auc", margin=0.05)
RNG = np.random.default_rng(1)
TRUE = RNG.integers(0, 2, ROWS)
SCORES = np.clip(TRUE * 0.4 + RNG.uniform(0, 0.6, ROWS), 0, 1)


def predict(noise: float = 0.0) -> Predictions:
    scores = np.clip(SCORES + noise * RNG.normal(size=ROWS), 0, 1)
    return Predictions((scores > 0.5).astype(int), scores, (0, 1))


def measure(
    candidate: Predictions, champion: Predictions | None, lineage: Lineage
) -> EvaluationEvidence:
    holdout = Holdout(TRUE, pd.DataFrame({"age": TRUE}))
    found = measure_evaluation(LIMITS, "binary", 1, holdout, candidate, champion, training=TRUE)
    return replace(found, lineage=lineage)


def judge(evidence: EvaluationEvidence, **limits: str) -> Verdict:
    chosen = EvaluationConfig.model_validate({**LIMITS.model_dump(), **limits})
    return EvaluationGate(chosen).judge(evidence)


def find_check(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


NEWER = Lineage(champion=1, champion_data=2, candidate_data=3)


def test_newer_data_and_another_model_pass() -> None:
    verdict = judge(measure(predict(0.01), predict(), NEWER))
    assert verdict.outcome is Outcome.PASS
    assert find_check(verdict, "data against champion").outcome is Outcome.PASS
    assert find_check(verdict, "identity").outcome is Outcome.PASS
    assert verdict.notices == ()


def test_the_same_data_version_is_not_older() -> None:
    same = replace(NEWER, candidate_data=2)
    assert judge(measure(predict(0.01), predict(), same)).outcome is Outcome.PASS


def test_older_data_than_the_champions_fails() -> None:
    evidence = measure(predict(0.01), predict(), replace(NEWER, candidate_data=1))
    verdict = judge(evidence)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "trained on data v1, older than the champion's data v2"
    assert "evaluation.on_older_data: notice" in verdict.next_step
    check = find_check(verdict, "data against champion")
    assert (check.measured, check.limit, check.relation) == (1, 2, ">=")


def test_older_data_passes_with_a_notice_by_choice() -> None:
    evidence = measure(predict(0.01), predict(), replace(NEWER, candidate_data=1))
    verdict = judge(evidence, on_older_data="notice")
    assert verdict.outcome is Outcome.PASS
    [notice] = verdict.notices
    assert notice.endswith("trained on data v1, older than the champion's data v2")


def test_a_candidate_identical_to_the_champion_fails() -> None:
    model = predict()
    verdict = judge(measure(model, replace(model), NEWER))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "predicts exactly what the champion does on all 4,000 held-out rows"
    assert "evaluation.on_identical: notice" in verdict.next_step


def test_an_identical_candidate_passes_with_a_notice_by_choice() -> None:
    model = predict()
    verdict = judge(measure(model, replace(model), NEWER), on_identical="notice")
    assert verdict.outcome is Outcome.PASS
    assert verdict.notices[0].startswith("identity: predicts exactly what the champion does")


@pytest.mark.parametrize("part", ["score", "label"])
def test_one_other_prediction_is_enough_to_differ(part: str) -> None:
    model = predict()
    labels, scores = model.labels.copy(), SCORES.copy()
    if part == "score":
        scores[7] = np.nextafter(scores[7], 1)
    else:
        labels[7] = 1 - labels[7]
    evidence = measure(Predictions(labels, scores, (0, 1)), model, NEWER)
    assert not evidence.identical
    assert judge(evidence).outcome is Outcome.PASS


def test_a_champion_without_a_data_version_is_said_and_not_judged() -> None:
    verdict = judge(measure(predict(0.01), predict(), replace(NEWER, champion_data=None)))
    assert verdict.outcome is Outcome.PASS
    assert "the champion carries no data version" in verdict.notices[0]


def test_a_champion_that_the_registry_lacks_is_insufficient() -> None:
    lineage = Lineage(champion=1, candidate_data=3, service="churn")
    verdict = judge(measure(predict(), None, lineage))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith("v1 serves, but the registry does not have it")
    assert "`sluice restore churn VERSION`" in verdict.next_step
    assert verdict.notices == ()


def test_without_any_champion_nothing_is_judged() -> None:
    verdict = judge(measure(predict(), None, Lineage(candidate_data=3)))
    assert verdict.outcome is Outcome.PASS
    assert verdict.notices[0].startswith("no champion yet")

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.evaluation import Calibration, EvaluationConfig, Slices
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.stats.holdout import Predictions
from sluice.verdict import Check, Outcome, Verdict

N = 4_000
LIMITS: dict[str, Any] = {
    "primary": "auc",
    "floors": {"auc": 0.8, "accuracy": 0.7, "log_loss": 0.6},
    "slices": Slices(columns=("sex",)),
    "calibration": Calibration(gap=0.05, slope=(0.7, 1.4)),
    "draws": 400,
}


def make_rows(n: int = N, strength: float = 2.0, seed: int = 0) -> tuple[Holdout, Predictions]:
    """Return rows whose outcomes follow the returned probabilities exactly."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, strength, n)
    scores = 1 / (1 + np.exp(-logit))
    y = (random.random(n) < scores).astype(int)
    frame = pd.DataFrame({"sex": random.choice(["f", "m"], n), "logit": logit})
    return Holdout(y, frame), Predictions((scores >= 0.5).astype(int), scores)


def blur(holdout: Holdout, noise: float, rows: Any = slice(None), seed: int = 9) -> Predictions:
    logit = holdout.frame["logit"].to_numpy().copy()
    logit[rows] += np.random.default_rng(seed).normal(0, noise, len(logit))[rows]
    scores = 1 / (1 + np.exp(-logit))
    return Predictions((scores >= 0.5).astype(int), scores)


def judge(
    holdout: Holdout, candidate: Predictions, champion: Predictions | None = None, **limits: Any
) -> Verdict:
    config = EvaluationConfig(**{**LIMITS, **limits})
    evidence = measure_evaluation(
        config, "binary", 1, holdout, candidate, champion, training=holdout.y
    )
    return EvaluationGate(config).judge(evidence)


def find(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def test_gate_passes_a_candidate_as_good_as_the_champion() -> None:
    holdout, good = make_rows()
    verdict = judge(holdout, blur(holdout, 0.1), good)
    assert verdict.passed, verdict.message
    assert verdict.notices == ()


def test_gate_stops_a_candidate_worse_than_the_champion() -> None:
    holdout, good = make_rows()
    verdict = judge(holdout, blur(holdout, 2.0), good, floors={}, calibration=None)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.checks[0].outcome is Outcome.FAIL


def test_reason_names_both_figures_the_interval_the_limit_and_the_rows() -> None:
    holdout, good = make_rows()
    verdict = judge(holdout, blur(holdout, 2.0), good, floors={}, calibration=None)
    form = r"auc \.\d{3} against champion \.\d{3}, difference \[-\.\d{3}, -\.\d{3}\], limit -\.010"
    assert re.match(form + r", n 4,000", verdict.reason), verdict.reason
    assert verdict.next_step.startswith("keep the champion")


def test_advice_names_how_many_rows_would_decide() -> None:
    holdout, good = make_rows(300)
    verdict = judge(holdout, blur(holdout, 1.0), good, floors={}, calibration=None, margin=0.02)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "hold out about" in verdict.next_step
    assert "(now 300)" in verdict.next_step


def test_difference_near_the_limit_asks_for_more_rows_than_there_are() -> None:
    holdout, good = make_rows()
    near, config = blur(holdout, 0.55), EvaluationConfig(**LIMITS)
    evidence = measure_evaluation(config, "binary", 1, holdout, near, good, training=holdout.y)
    figure = evidence.find_metric("auc")
    assert figure is not None
    assert figure.difference is not None
    margin = -(figure.difference.value or 0) + 0.0005
    limits = {"margin": margin, "floors": {}, "calibration": None}
    verdict = judge(holdout, near, good, **limits)
    assert verdict.outcome is Outcome.INSUFFICIENT
    needed = int(verdict.next_step.split("about ")[1].split(" rows")[0].replace(",", ""))
    assert needed > N


def test_first_candidate_passes_with_a_notice() -> None:
    holdout, good = make_rows()
    verdict = judge(holdout, good)
    assert verdict.passed
    assert "no champion yet" in verdict.notices[0]


def test_first_candidate_is_held_to_its_floors() -> None:
    holdout, _ = make_rows()
    verdict = judge(holdout, blur(holdout, 3.0), calibration=None)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("auc .")
    assert "floor .800" in verdict.reason
    assert "more checks failed" in verdict.reason


def test_floor_of_a_loss_is_a_ceiling() -> None:
    holdout, good = make_rows()
    verdict = judge(holdout, good, floors={"log_loss": 0.3})
    check = find(verdict, "log_loss ceiling")
    assert (check.outcome, check.relation) == (Outcome.FAIL, "<=")


def test_floor_inside_the_interval_is_insufficient() -> None:
    holdout, good = make_rows(500)
    accuracy = float((good.labels == holdout.y).mean())
    verdict = judge(holdout, good, floors={"accuracy": accuracy - 0.005}, calibration=None)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "hold out about" in verdict.next_step


def test_figure_on_its_floor_asks_for_a_better_model() -> None:
    holdout, good = make_rows(500)
    accuracy = float((good.labels == holdout.y).mean())
    verdict = judge(holdout, good, floors={"accuracy": accuracy}, calibration=None)
    assert "train a better model" in verdict.next_step


def test_gate_stops_a_slice_that_falls() -> None:
    holdout, good = make_rows(8_000)
    women = (holdout.frame["sex"] == "f").to_numpy()
    half = blur(holdout, 2.5, rows=women)
    verdict = judge(holdout, half, good, floors={}, calibration=None, margin=0.2)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("auc in sex=f .")
    assert find(verdict, "auc in sex=m").outcome is Outcome.PASS


def test_small_slice_is_listed() -> None:
    holdout, good = make_rows()
    holdout.frame.loc[:50, "sex"] = "unknown"
    check = find(judge(holdout, good, good), "sex=unknown")
    assert check.outcome is Outcome.LISTED
    assert "fewer than 200 rows" in check.note


def test_very_many_small_slices_are_listed_as_one() -> None:
    holdout, good = make_rows()
    holdout.frame["sex"] = np.arange(N) % 100
    check = find(judge(holdout, good, good), "small slices")
    assert check.note.startswith("80 more slices")


def test_gate_stops_a_miscalibrated_candidate() -> None:
    holdout, good = make_rows()
    assert good.scores is not None
    bold = Predictions(good.labels, np.clip(good.scores + 0.15, 0, 1))
    verdict = judge(holdout, bold, floors={})
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("calibration gap .")
    assert "recalibrate" in verdict.next_step


def test_metrics_without_a_limit_are_shown() -> None:
    holdout, good = make_rows()
    assert find(judge(holdout, good), "brier").outcome is Outcome.LISTED


def test_decisive_failure_comes_before_what_is_insufficient() -> None:
    holdout, good = make_rows(500)
    accuracy = float((good.labels == holdout.y).mean())
    floors = {"accuracy": accuracy, "auc": 0.99}
    verdict = judge(holdout, good, floors=floors, calibration=None)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("auc ")


def test_empty_holdout_is_insufficient() -> None:
    holdout = Holdout(np.empty(0), pd.DataFrame({"sex": []}))
    predictions = Predictions(np.empty(0), np.empty(0))
    verdict = judge(holdout, predictions, predictions)
    assert (verdict.outcome, verdict.reason) == (Outcome.INSUFFICIENT, "no held-out rows")


def test_few_rows_are_insufficient_however_good() -> None:
    holdout, _ = make_rows(60)
    perfect = Predictions(holdout.y, holdout.y.astype(float))
    verdict = judge(holdout, perfect, perfect, calibration=None, on_identical="notice")
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith("60 held-out rows, 100 needed")


def test_few_groups_are_insufficient_however_many_rows() -> None:
    holdout, good = make_rows()
    holdout.frame["town"] = np.arange(N) % 12
    verdict = judge(holdout, good, good, group="town", on_identical="notice")
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "12 held-out groups, 30 needed" in verdict.reason


def break_scores(good: Predictions, value: float) -> Predictions:
    assert good.scores is not None
    scores = good.scores.copy()
    scores[:3] = value
    return Predictions(good.labels, scores)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.2])
@pytest.mark.parametrize("model", ["candidate", "champion"])
def test_broken_probabilities_are_insufficient(value: float, model: str) -> None:
    holdout, good = make_rows(400)
    models = {"candidate": good, "champion": good, model: break_scores(good, value)}
    verdict = judge(holdout, models["candidate"], models["champion"])
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith(f"the {model}'s probabilities")
    assert "3 of 400" in verdict.reason


def test_missing_probabilities_are_insufficient() -> None:
    holdout, good = make_rows(400)
    verdict = judge(holdout, Predictions(good.labels))
    assert (verdict.outcome, verdict.reason) == (
        Outcome.INSUFFICIENT,
        "the candidate returned no probabilities",
    )


def test_one_class_is_insufficient() -> None:
    holdout, good = make_rows(400)
    verdict = judge(Holdout(np.ones(400, dtype=int), holdout.frame), good)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "hold only positives" in verdict.reason


def test_positive_value_that_never_occurs_is_named_with_what_does() -> None:
    holdout, good = make_rows(400)
    config = EvaluationConfig(**LIMITS)
    evidence = measure_evaluation(config, "binary", "yes", holdout, good, None, training=holdout.y)
    reason = EvaluationGate(config).judge(evidence).reason
    assert "data.positive is 'yes', found: '0', '1'" in reason


def test_null_target_is_insufficient() -> None:
    holdout, good = make_rows(400)
    y = holdout.y.astype(object)
    y[:7] = None
    verdict = judge(Holdout(y, holdout.frame), good)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "null in 7 of 400" in verdict.reason


def test_champion_with_predictions_of_other_rows_is_insufficient() -> None:
    holdout, good = make_rows(400)
    verdict = judge(holdout, good, make_rows(300)[1])
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "the champion returned 300 predictions for 400" in verdict.reason


def test_slice_column_that_is_absent_is_insufficient() -> None:
    holdout, good = make_rows(400)
    verdict = judge(holdout, good, good, slices=Slices(columns=("region",)))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "no column 'region'" in verdict.reason


def test_floor_that_was_not_measured_is_insufficient() -> None:
    holdout, good = make_rows(400)
    config = EvaluationConfig(**LIMITS)
    evidence = measure_evaluation(config, "binary", 1, holdout, good, None, training=holdout.y)
    pruned = replace(evidence, metrics=tuple(m for m in evidence.metrics if m.name != "accuracy"))
    verdict = EvaluationGate(config).judge(pruned)
    assert find(verdict, "accuracy floor").outcome is Outcome.INSUFFICIENT


def test_slices_that_were_not_measured_are_insufficient() -> None:
    holdout, good = make_rows()
    config = EvaluationConfig(**LIMITS)
    evidence = measure_evaluation(config, "binary", 1, holdout, good, good, training=holdout.y)
    verdict = EvaluationGate(config).judge(replace(evidence, slices=()))
    assert find(verdict, "slices of sex").outcome is Outcome.INSUFFICIENT


def test_unknown_primary_is_insufficient() -> None:
    holdout, good = make_rows(400)
    verdict = judge(holdout, good, primary="rmse")
    assert verdict.outcome is Outcome.INSUFFICIENT


def test_verdict_survives_json() -> None:
    holdout, good = make_rows()
    verdict = judge(holdout, good, good)
    assert Verdict.from_dict(verdict.to_dict()) == verdict

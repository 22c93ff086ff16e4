"""`evaluation.recent`: the newest held-out rows decide, the older ones are shown beside them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.bias import BiasConfig
from sluice.config.evaluation import EvaluationConfig, Slices
from sluice.data.recent import RecentRows, mark_recent
from sluice.gates.bias import BiasGate
from sluice.gates.evaluation import EvaluationGate, measure_evaluation
from sluice.stats.holdout import Holdout, Predictions
from sluice.stats.recency import EvaluatedRows, measure_recent_bias, measure_recent_evaluation
from sluice.verdict import Check, Outcome, Verdict

OLD, NEW = 6_000, 2_000
LIMITS: dict[str, Any] = {"primary": "auc", "draws": 400, "on_older_data": "notice"}
TIMES = pd.Series(pd.date_range("2026-01-01", periods=OLD + NEW, freq="min", tz="UTC"))


def make_holdout(seed: int = 0, changed: bool = False) -> Holdout:
    """Return rows of a logistic relation, which is the opposite one in the newest rows."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 2.0, OLD + NEW)
    slope = np.where(np.arange(OLD + NEW) >= OLD, -1.0, 1.0) if changed else np.ones(OLD + NEW)
    y = (random.random(OLD + NEW) < 1 / (1 + np.exp(-slope * x))).astype(int)
    sex = random.choice(["f", "m"], OLD + NEW)
    return Holdout(y, pd.DataFrame({"x": x, "sex": sex, "at": TIMES}))


def score(holdout: Holdout, old: float, new: float, seed: int = 5) -> Predictions:
    """Return predictions with so much noise on the older and on the newest rows."""
    spread = np.where(np.arange(OLD + NEW) >= OLD, new, old)
    noise = np.random.default_rng(seed).normal(0, 1, len(spread)) * spread
    logit = holdout.frame["x"].to_numpy() + noise
    scores = 1 / (1 + np.exp(-logit))
    return Predictions((scores >= 0.5).astype(int), scores)


def judge(
    holdout: Holdout, candidate: Predictions, champion: Predictions | None, **limits: Any
) -> Verdict:
    config = EvaluationConfig(**{**LIMITS, "recent": NEW, **limits})
    recent = mark_recent(config, holdout.frame["at"], holdout.frame["at"])
    rows = EvaluatedRows(holdout, candidate, champion)
    evidence = measure_recent_evaluation(config, "binary", 1, rows, recent, training=holdout.y)
    return EvaluationGate(config).judge(evidence)


def find(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def test_gate_passes_a_candidate_as_good_as_the_champion_on_the_newest_rows() -> None:
    holdout = make_holdout()
    verdict = judge(holdout, score(holdout, 3.0, 0.1), score(holdout, 0.1, 0.1, seed=6))
    assert verdict.passed, verdict.message
    assert find(verdict, "auc against champion").n == NEW
    assert "the newest 2,000 of 8,000 held-out rows decide" in verdict.notices[0]
    older = find(verdict, "auc, older rows")
    assert (older.outcome, older.n) == (Outcome.LISTED, OLD)
    assert "difference -" in older.note


def test_gate_stops_a_candidate_that_is_worse_on_the_newest_rows_only() -> None:
    holdout = make_holdout()
    candidate, champion = score(holdout, 0.1, 3.0), score(holdout, 2.0, 0.1, seed=6)
    assert judge(holdout, candidate, champion, recent="").passed
    verdict = judge(holdout, candidate, champion)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("auc .")
    assert "n 2,000" in verdict.reason


@pytest.mark.parametrize("rows", [0, 60, 300])
def test_gate_halts_where_the_newest_rows_are_too_few(rows: int) -> None:
    holdout = make_holdout()
    config = EvaluationConfig(**LIMITS, recent="2 h")
    mask = np.arange(OLD + NEW) >= OLD + NEW - rows
    evaluated = EvaluatedRows(holdout, score(holdout, 0.5, 0.5), score(holdout, 0.1, 0.1, seed=6))
    evidence = measure_recent_evaluation(
        config, "binary", 1, evaluated, RecentRows(mask, "2026-01-06"), training=holdout.y
    )
    verdict = EvaluationGate(config).judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "widen evaluation.recent (older ones are there)" in verdict.next_step


def test_no_row_that_is_so_new_is_named_as_the_reason() -> None:
    holdout = make_holdout()
    config = EvaluationConfig(**LIMITS, recent="2 h")
    recent = RecentRows(np.zeros(OLD + NEW, dtype=np.bool_), "2026-02-01")
    rows = EvaluatedRows(holdout, score(holdout, 0.1, 0.1))
    evidence = measure_recent_evaluation(config, "binary", 1, rows, recent)
    verdict = EvaluationGate(config).judge(evidence)
    assert verdict.reason == (
        "evaluation.recent: 2 h: none of the 8,000 held-out rows is so new, 2026-02-01 or later"
    )


def test_after_a_change_of_concept_old_rows_do_not_outvote_the_retrained_model() -> None:
    """Both are fitted: the champion on rows before the change, the candidate on rows after it."""
    from sklearn.linear_model import LogisticRegression

    training, holdout = make_holdout(1, changed=True), make_holdout(2, changed=True)
    is_old, x = np.arange(OLD + NEW) < OLD, holdout.frame[["x"]]
    predicted = []
    for rows in (~is_old, is_old):
        model = LogisticRegression().fit(training.frame.loc[rows, ["x"]], training.y[rows])
        predicted.append(Predictions(model.predict(x), model.predict_proba(x)[:, 1]))
    candidate, champion = predicted
    verdict = judge(holdout, candidate, champion)
    assert verdict.passed, verdict.message
    assert "difference -.7" in find(verdict, "auc, older rows").note
    outvoted = judge(holdout, candidate, champion, recent="")
    assert outvoted.outcome is Outcome.FAIL


def test_floors_and_slices_are_judged_on_the_newest_rows() -> None:
    holdout = make_holdout()
    limits: dict[str, Any] = {"floors": {"accuracy": 0.7}, "slices": Slices(columns=("sex",))}
    verdict = judge(holdout, score(holdout, 5.0, 0.1), score(holdout, 0.1, 0.1, 6), **limits)
    assert verdict.passed, verdict.message
    assert find(verdict, "accuracy floor").n == NEW
    assert (find(verdict, "accuracy, older rows").measured or 1.0) < 0.7
    assert sum(check.n or 0 for check in verdict.checks if " in sex=" in check.name) == NEW


def test_older_rows_of_one_class_are_said_to_be_unmeasurable() -> None:
    holdout = make_holdout()
    y = np.where(np.arange(OLD + NEW) >= OLD, holdout.y, 0)
    one = Holdout(y, holdout.frame)
    verdict = judge(one, score(one, 0.1, 0.1), None)
    assert verdict.passed, verdict.message
    assert "hold no positives" in find(verdict, "older rows").note


def test_evidence_of_all_rows_is_not_taken_for_evidence_of_the_newest() -> None:
    holdout = make_holdout()
    config = EvaluationConfig(**LIMITS, recent=NEW)
    evidence = measure_evaluation(
        config, "binary", 1, holdout, score(holdout, 0.1, 0.1), None, training=holdout.y
    )
    verdict = EvaluationGate(config).judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "the newest rows were not measured alone" in verdict.reason


def test_the_newest_rows_alone_halt_the_bias_gate() -> None:
    holdout = make_holdout()
    women, is_new = (holdout.frame["sex"] == "f").to_numpy(), np.arange(OLD + NEW) >= OLD
    fair = score(holdout, 0.1, 0.1)
    unfair = Predictions(np.where(women & is_new, 0, fair.labels), fair.scores)
    config = BiasConfig(sensitive=("sex",), favourable=1)
    recent = RecentRows(is_new, "2026-01-05")
    for labels, outcome in ((fair, Outcome.PASS), (unfair, Outcome.FAIL)):
        rows = EvaluatedRows(holdout, labels)
        evidence = measure_recent_bias(config, "binary", 1, rows, recent)
        verdict = BiasGate(config).judge(evidence)
        assert verdict.outcome is outcome, verdict.message
        assert evidence.n == NEW
        check = find(verdict, "selection ratio of sex=f")
        assert "older rows .9" in check.note or "older rows 1.0" in check.note

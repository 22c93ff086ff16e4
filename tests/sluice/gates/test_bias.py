import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sluice.config.bias import BiasConfig
from sluice.gates.bias import BiasGate, Holdout, measure_bias
from sluice.stats.holdout import Predictions
from sluice.verdict import Check, Outcome, Verdict

N = 6_000


def make_rows(n: int = N, tilt: float = 0.0, seed: int = 0) -> tuple[Holdout, Predictions]:
    """Return half positives with rates .9 (true) and .1 (false); women's true rate loses `tilt`."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sex": random.choice(["female", "male"], n),
            "race": random.choice(["white", "black", "tiny"], n, p=[0.7, 0.295, 0.005]),
        }
    )
    y = random.integers(0, 2, n)
    lost = tilt * (frame["sex"] == "female").to_numpy() * y
    chosen = random.random(n) < np.where(y == 1, 0.9, 0.1) - lost
    return Holdout(y, frame), Predictions(chosen.astype(int), chosen * 0.8 + 0.1)


def judge(
    holdout: Holdout,
    predictions: Predictions,
    problem: Any = "binary",
    good: Any = 1,
    **limits: Any,
) -> Verdict:
    config = BiasConfig(**{"sensitive": ("sex", "race"), "draws": 400, **limits})
    return BiasGate(config).judge(measure_bias(config, problem, good, holdout, predictions))


def find(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def test_gate_passes_a_model_that_treats_groups_alike() -> None:
    verdict = judge(*make_rows())
    assert verdict.passed, verdict.message
    assert "checks proved" in verdict.reason


def test_gate_stops_a_model_that_overlooks_a_group() -> None:
    verdict = judge(*make_rows(tilt=0.3))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("true-positive difference of sex=female -.3")
    assert "more checks failed" in verdict.reason


def test_reason_shows_group_figure_interval_limit_and_rows() -> None:
    check = find(judge(*make_rows(tilt=0.3)), "true-positive difference of sex=female")
    verdict = judge(*make_rows(tilt=0.3))
    assert "limit -.100" in verdict.reason
    assert f"n {check.n:,}" in verdict.reason
    assert check.interval is not None
    assert check.interval[1] < -0.1
    assert "reweigh" in verdict.next_step


def test_gate_stops_false_positive_differences_either_way() -> None:
    holdout, predictions = make_rows()
    labels = predictions.labels.copy()
    labels[(holdout.frame["sex"] == "male").to_numpy() & (np.arange(N) % 3 == 0)] = 1
    verdict = judge(holdout, Predictions(labels, predictions.scores))
    checks = [find(verdict, f"false-positive difference of sex={s}") for s in ("female", "male")]
    assert [check.outcome for check in checks] == [Outcome.FAIL, Outcome.FAIL]
    assert [check.limit for check in checks] == [-0.15, 0.15]


def test_gate_stops_a_group_that_is_never_selected() -> None:
    holdout, predictions = make_rows()
    labels = np.where(holdout.frame["sex"] == "female", 0, predictions.labels)
    check = find(judge(holdout, Predictions(labels)), "selection ratio of sex=female")
    assert check.outcome is Outcome.FAIL


def test_bias_needs_labels_only() -> None:
    holdout, predictions = make_rows()
    assert judge(holdout, Predictions(predictions.labels)).passed


def test_group_of_a_pair_alone_is_found() -> None:
    holdout, predictions = make_rows(12_000)
    frame = holdout.frame
    hit = ((frame["sex"] == "female") & (frame["race"] == "black")).to_numpy()
    labels = np.where(hit & (np.arange(12_000) % 3 == 0), 0, predictions.labels)
    verdict = judge(holdout, Predictions(labels))
    assert find(verdict, "true-positive difference of sex=female, race=black").outcome == "fail"


def test_small_group_is_listed_and_named_in_a_notice() -> None:
    verdict = judge(*make_rows())
    check = find(verdict, "selection ratio of race=tiny")
    assert check.outcome is Outcome.LISTED
    assert any("race=tiny not judged" in notice for notice in verdict.notices)


def unproved() -> tuple[Holdout, Predictions]:
    return make_rows(1_000, tilt=0.08)


def test_unproved_checks_are_listed_with_a_notice() -> None:
    verdict = judge(*unproved())
    assert verdict.passed
    assert any(notice.startswith("not proved: ") for notice in verdict.notices)


def test_unproved_checks_halt_by_choice() -> None:
    verdict = judge(*unproved(), on_unproved="halt")
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.next_step.startswith("hold out more rows of the group")


def test_no_sensitive_column_passes_with_its_reason() -> None:
    verdict = judge(*make_rows(300), sensitive="none", reason="machines have no gender")
    assert verdict.passed
    assert verdict.notices == ("no sensitive column: machines have no gender",)


def test_missing_sensitive_column_halts_by_name() -> None:
    holdout, predictions = make_rows()
    bare = Holdout(holdout.y, holdout.frame.drop(columns="race"))
    verdict = judge(bare, predictions)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith("sensitive column 'race' is not in the held-out rows")


def test_wholly_null_sensitive_column_halts_by_name() -> None:
    holdout, predictions = make_rows()
    holdout.frame["race"] = None
    verdict = judge(holdout, predictions)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "'race' is null in all 6,000 rows" in verdict.reason


def test_missing_column_does_not_hide_bias_in_another() -> None:
    holdout, predictions = make_rows(tilt=0.3)
    verdict = judge(Holdout(holdout.y, holdout.frame.drop(columns="race")), predictions)
    assert verdict.outcome is Outcome.FAIL


def test_column_that_was_not_measured_halts() -> None:
    holdout, predictions = make_rows()
    config = BiasConfig(sensitive=("sex",), draws=400)
    evidence = measure_bias(config, "binary", 1, holdout, predictions)
    verdict = BiasGate(BiasConfig(sensitive=("sex", "race"))).judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT


def test_null_values_form_a_group() -> None:
    holdout, predictions = make_rows()
    holdout.frame.loc[:500, "sex"] = None
    assert find(judge(holdout, predictions), "selection ratio of sex=(missing)").n == 501


def test_empty_holdout_is_insufficient() -> None:
    holdout = Holdout(np.empty(0), pd.DataFrame({"sex": [], "race": []}))
    verdict = judge(holdout, Predictions(np.empty(0)))
    assert (verdict.outcome, verdict.reason) == (Outcome.INSUFFICIENT, "no held-out rows")


def test_no_group_large_enough_is_insufficient() -> None:
    verdict = judge(*make_rows(80))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "large enough to judge" in verdict.reason


def test_one_class_is_insufficient() -> None:
    holdout, predictions = make_rows()
    verdict = judge(Holdout(np.zeros(N, dtype=int), holdout.frame), predictions)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "the favourable class" in verdict.reason


def test_multiclass_without_a_favourable_class_is_insufficient() -> None:
    verdict = judge(*make_rows(), problem="multiclass", good=None)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason.startswith("bias.favourable names no class")


def test_multiclass_is_judged_by_the_favourable_class_against_the_rest() -> None:
    holdout, predictions = make_rows(tilt=0.3)
    words = np.array(["no", "grant"], dtype=object)
    y = words[holdout.y]
    y[::10] = "later"
    worded = Predictions(words[predictions.labels])
    verdict = judge(Holdout(y, holdout.frame), worded, problem="multiclass", good="grant")
    assert find(verdict, "selection ratio of sex=female").outcome is Outcome.FAIL


def make_churn(lost: float) -> tuple[Holdout, Predictions]:
    """Return rows where `yes` is harmful, and seniors are predicted `yes` more often by `lost`."""
    random = np.random.default_rng(4)
    senior = random.integers(0, 2, N)
    y = random.choice(["no", "yes"], N, p=[0.75, 0.25]).astype(object)
    flagged = random.random(N) < np.where(y == "yes", 0.75, 0.1 + lost * senior)
    labels = np.where(flagged, "yes", "no").astype(object)
    return Holdout(y, pd.DataFrame({"senior": senior})), Predictions(labels, flagged * 0.8 + 0.1)


def test_a_group_that_is_flagged_as_harmful_more_often_is_the_one_treated_worse() -> None:
    rows = make_churn(0.3)
    verdict = judge(*rows, good="no", sensitive=("senior",), favourable="no")
    check = find(verdict, "selection ratio of senior=1")
    assert check.outcome is Outcome.FAIL
    assert "favourable 'no'" in check.note
    assert find(verdict, "true-positive difference of senior=1").outcome is Outcome.FAIL
    assert find(verdict, "selection ratio of senior=0").outcome is Outcome.PASS
    wrong = judge(*rows, good="yes", sensitive=("senior",))
    assert find(wrong, "selection ratio of senior=0").outcome is Outcome.FAIL


def test_an_assumed_favourable_class_is_said_and_a_named_one_is_not() -> None:
    rows = make_churn(0.0)
    assumed = judge(*rows, good="yes", sensitive=("senior",))
    assert any("bias.favourable is not set: the positive class 'yes'" in n for n in assumed.notices)
    named = judge(*rows, good="no", sensitive=("senior",), favourable="no")
    assert not any("bias.favourable" in notice for notice in named.notices)


def test_a_favourable_class_that_no_row_has_is_named_with_the_classes_found() -> None:
    verdict = judge(*make_churn(0.0), good="never", sensitive=("senior",), favourable="never")
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "hold no 'never', the favourable class; found: 'no', 'yes'" in verdict.reason


def make_regression(factor: float) -> tuple[Holdout, Predictions]:
    holdout, _ = make_rows(2_000)
    random = np.random.default_rng(3)
    y = random.normal(50, 10, 2_000)
    scale = np.where(holdout.frame["sex"] == "female", factor, 1.0)
    return Holdout(y, holdout.frame), Predictions(y + scale * random.normal(size=2_000))


def test_regression_with_equal_errors_passes() -> None:
    assert judge(*make_regression(1.0), problem="regression").passed


def test_regression_with_larger_errors_for_a_group_is_stopped() -> None:
    verdict = judge(*make_regression(2.0), problem="regression")
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("error ratio of sex=female ")
    assert "limit 1.250" in verdict.reason


def test_evidence_records_the_summaries_of_fairlearn() -> None:
    from fairlearn.metrics import demographic_parity_ratio

    holdout, predictions = make_rows()
    config = BiasConfig(sensitive=("sex",), draws=400)
    evidence = measure_bias(config, "binary", 1, holdout, predictions)
    found = {summary.name: summary.value for summary in evidence.summaries}
    assert found["demographic_parity_ratio"] == pytest.approx(
        demographic_parity_ratio(
            holdout.y, predictions.labels, sensitive_features=holdout.frame["sex"]
        )
    )
    json.dumps(evidence.to_dict(), allow_nan=False)


def test_verdict_survives_json() -> None:
    verdict = judge(*make_rows())
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict

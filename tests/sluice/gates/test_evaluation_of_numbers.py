import numpy as np
import pandas as pd
import pytest

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.gates.finding import format_figure
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import EvaluationEvidence, MetricFigure
from sluice.stats.holdout import Predictions
from sluice.stats.slicing import SliceFigure
from sluice.verdict import Outcome, Verdict


def judge(noise: float, champion_noise: float = 5.0) -> Verdict:
    """Judge a regression model by its error's standard deviation."""
    random = np.random.default_rng(0)
    y = random.normal(100, 20, 1_000)
    errors = random.normal(0, 1, 1_000)
    holdout = Holdout(y, pd.DataFrame(index=range(1_000)))
    candidate = Predictions(y + noise * errors)
    champion = Predictions(y + champion_noise * errors)
    config = EvaluationConfig(primary="mae", margin=0.5, floors={"r2": 0.5}, draws=400)
    evidence = measure_evaluation(
        config, "regression", None, holdout, candidate, champion, training=y
    )
    return EvaluationGate(config).judge(evidence)


def test_as_good_as_the_champion_passes() -> None:
    assert judge(5.1).passed


def test_larger_errors_than_the_champion_s_are_stopped() -> None:
    verdict = judge(8.0)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("mae 6.")


@pytest.mark.parametrize(("noise", "sign"), [(4.0, -1), (5.1, 1), (8.0, 1)])
def test_change_and_limit_of_an_error_have_its_own_direction(noise: float, sign: int) -> None:
    verdict = judge(noise)
    check = verdict.checks[0]
    assert check.measured is not None
    assert check.interval is not None
    assert check.measured * sign > 0
    assert check.interval[0] < check.measured < check.interval[1]
    assert (check.limit, check.relation) == (0.5, "<")
    assert verdict.passed == (check.interval[1] < 0.5)
    low, high = check.interval
    assert f"difference [{format_figure(low)}, {format_figure(high)}], limit .500" in verdict.reason


def test_floor_of_an_error_is_a_ceiling_and_a_slice_may_rise_by_its_margin() -> None:
    slices = SliceFigure("town", "a", 400, 6.0, 5.0, Estimate(-1.0, -1.2, -0.8, 400), 0.05)
    mae = MetricFigure("mae", False, *(Estimate(1.0, 0.9, 1.1, 400),) * 2, Estimate(0, -1, 1, 400))
    evidence = EvaluationEvidence("regression", "mae", 400, 400, True, (), (mae,), (slices,))
    config = EvaluationConfig(
        primary="mae", margin=2.0, floors={"mae": 1.5}, slices={"columns": ["town"], "margin": 0.5}
    )
    verdict = EvaluationGate(config).judge(evidence)
    found = {check.name: check for check in verdict.checks}
    assert (found["mae ceiling"].limit, found["mae ceiling"].relation) == (1.5, "<=")
    part = found["mae in town=a"]
    assert (part.outcome, part.measured, part.interval) == (Outcome.FAIL, 1.0, (0.8, 1.2))
    assert (part.limit, part.relation) == (0.5, "<=")


def test_metric_without_a_figure_says_why() -> None:
    y = np.concatenate([np.zeros(10), np.random.default_rng(0).normal(100, 20, 990)])
    holdout, found = Holdout(y, pd.DataFrame(index=range(1_000))), Predictions(y + 1.0)
    for floors in ({"r2": 0.5}, {"r2": 0.5, "mape": 0.2}):
        config = EvaluationConfig(primary="mae", margin=0.5, floors=floors, draws=400)
        evidence = measure_evaluation(config, "regression", None, holdout, found, None, training=y)
        verdict = EvaluationGate(config).judge(evidence)
        check = next(item for item in verdict.checks if item.name.startswith("mape"))
        assert "mape cannot be measured on 1,000 held-out rows: a target is 0" in check.note
        assert "no limit" not in check.note
    assert verdict.next_step == "judge by mae or rmse, which every target has"


@pytest.mark.parametrize("noise", [float("nan"), float("inf")])
def test_predictions_that_are_not_finite_are_insufficient(noise: float) -> None:
    verdict = judge(noise)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "1,000 of 1,000" in verdict.reason

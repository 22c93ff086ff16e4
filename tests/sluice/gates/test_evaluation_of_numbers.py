import numpy as np
import pandas as pd
import pytest

from sluice.config.evaluation import EvaluationConfig
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.stats.holdout import Predictions
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
    evidence = measure_evaluation(config, "regression", None, holdout, candidate, champion)
    return EvaluationGate(config).judge(evidence)


def test_as_good_as_the_champion_passes() -> None:
    assert judge(5.1).passed


def test_larger_errors_than_the_champion_s_are_stopped() -> None:
    verdict = judge(8.0)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("mae 6.")


def test_smaller_errors_are_a_positive_difference() -> None:
    measured = judge(4.0).checks[0].measured
    assert measured is not None
    assert measured > 0


@pytest.mark.parametrize("noise", [float("nan"), float("inf")])
def test_predictions_that_are_not_finite_are_insufficient(noise: float) -> None:
    verdict = judge(noise)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "1,000 of 1,000" in verdict.reason

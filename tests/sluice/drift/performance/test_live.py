"""Estimates without labels, and live bias with them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.drift.performance.live import estimate_performance, judge_live_bias
from sluice.drift.performance.reference import PerformanceReference, build_reference
from sluice.stats.holdout import Holdout, Predictions
from sluice.verdict import Outcome
from support.people import draw_people, finite, make_rows


def hard_cases(n: int, seed: int) -> tuple[Holdout, Predictions]:
    """Draw people whose scores are all near .5: other people, the same relation."""
    holdout, given = draw_people(20 * n, seed)
    assert given.scores is not None
    chosen = np.flatnonzero(np.abs(given.scores - 0.5) < 0.15)[:n]
    scores = given.scores[chosen]
    return (
        Holdout(holdout.y[chosen], holdout.frame.iloc[chosen]),
        Predictions(given.labels[chosen], scores, given.classes),
    )


def test_estimate_follows_other_inputs(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    holdout, given = hard_cases(2_000, 3)
    found = estimate_performance(config, reference, given)
    figures = {one.name: one for one in found.figures}
    accuracy = figures["accuracy"]
    assert accuracy.value is not None
    assert accuracy.error is not None
    real = float(np.mean(given.labels == holdout.y))
    assert accuracy.value == pytest.approx(real, abs=4 * accuracy.error)
    assert found.primary is not None
    assert found.primary.dropped


def test_estimate_does_not_see_a_change_of_concept_and_says_so(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    rows = make_rows(2_000, 4, flipped=0.5)
    found = estimate_performance(config, reference, rows.predictions)
    assert found.primary is not None
    assert found.primary.dropped is False
    assert "cannot see a change of the relation between inputs and outcome" in found.blindness


def test_same_rows_have_the_estimate_of_the_release(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    found = estimate_performance(config, reference, draw_people(4_000, 0)[1])
    assert found.figures == reference.estimates
    assert found.primary is not None
    assert found.primary.drop == 0.0


def test_few_answers_are_estimated_and_not_judged(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    found = estimate_performance(config, reference, draw_people(400, 0)[1])
    assert found.primary is not None
    assert found.primary.dropped is None
    assert found.primary.note == "400 answers, 500 needed"
    nothing = draw_people(0, 0)[1]
    assert estimate_performance(config, reference, nothing).figures[0].note == "no rows"


def test_release_without_estimates_says_why(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    few = replace(reference, estimates=(), calibration=None, note="300 held-out rows")
    found = estimate_performance(config, few, draw_people(600, 0)[1])
    assert (found.figures, found.note) == ((), "300 held-out rows")


def test_primary_metric_without_an_estimate_is_replaced_by_accuracy(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    other = replace(reference, primary="average_precision")
    found = estimate_performance(config, other, draw_people(600, 1)[1])
    assert found.primary is not None
    assert found.primary.name == "accuracy"


@pytest.fixture(scope="module")
def earnings() -> ServiceConfig:
    return load_service("earnings", "development")


def draw_workers(n: int, seed: int) -> tuple[Holdout, Predictions]:
    """Draw workers whose earnings are harder to predict at a low age."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 60, n),
            "years_of_school": random.integers(6, 18, n),
            "married": random.random(n) < 0.5,
            "ethnicity": "other",
            "earned_1974": random.gamma(2, 5_000, n),
            "earned_1975": random.gamma(2, 5_000, n),
        }
    )
    predicted = frame["earned_1975"].to_numpy()
    noise = random.normal(0, np.where(frame["age"] < 30, 4_000, 1_000))
    return Holdout(predicted + noise, frame), Predictions(predicted)


def test_error_of_a_regression_is_estimated_from_its_features(earnings: ServiceConfig) -> None:
    reference = build_reference(earnings, *draw_workers(2_000, 0))
    holdout, given = draw_workers(3_000, 1)
    young = (holdout.frame["age"] < 30).to_numpy()
    found = estimate_performance(
        earnings, reference, Predictions(given.labels[young]), holdout.frame[young]
    )
    [figure] = found.figures
    assert (found.method, figure.name) == ("DLE", "mae")
    assert figure.value is not None
    assert figure.error is not None
    real = np.abs(given.labels - holdout.y)[young].mean()
    assert figure.value == pytest.approx(real, abs=4 * figure.error)
    assert found.primary is not None
    assert found.primary.dropped


def test_regression_without_its_features_is_not_estimated(earnings: ServiceConfig) -> None:
    reference = build_reference(earnings, *draw_workers(1_000, 0))
    holdout, given = draw_workers(600, 1)
    without = estimate_performance(earnings, reference, given, holdout.frame[["age"]])
    assert without.figures[0].note == "feature 'years_of_school' is not in the rows"
    assert "no rows were given" in estimate_performance(earnings, reference, given).note
    assert finite(reference.to_document())


def test_live_bias_is_judged_by_the_limits_of_the_gate(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    assert judge_live_bias(config, reference, make_rows(1_500, 2)).outcome is Outcome.PASS
    rows = make_rows(1_500, 2)
    is_male = (rows.frame["sex"] == "male").to_numpy()
    given = Predictions(np.where(is_male, 0, rows.predictions.labels), rows.predictions.scores)
    worse = judge_live_bias(config, reference, replace(rows, predictions=given))
    assert worse.outcome is Outcome.FAIL


def test_sensitive_column_that_callers_do_not_send_is_missing_evidence(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    rows = make_rows(1_500, 2)
    verdict = judge_live_bias(config, reference, replace(rows, frame=rows.frame[["age"]]))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "sensitive column 'sex' is not in the held-out rows" in str(verdict.to_dict())

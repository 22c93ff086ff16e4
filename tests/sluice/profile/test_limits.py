"""Margins and floors follow from the number of held-out rows."""

import pytest

from sluice.config.model import Linear
from sluice.profile.limits import choose_calibration, choose_floor, choose_margin, detectable_margin
from sluice.profile.trial.floors import ModelTrial, TrialFigure
from sluice.stats.bootstrap import Estimate, count_needed_rows


def trial_of(metric: str, value: float, trivial: float, spread: float) -> ModelTrial:
    error = 0.5 / 1000**0.5
    estimate = Estimate(value, value - error, value + error, 1000, error)
    model = Linear(kind="linear")
    return ModelTrial(model, "", 1000, (TrialFigure(metric, estimate, trivial),), spread)


@pytest.mark.parametrize("spread", [0.16, 0.19])
def test_detectable_margin_is_the_inverse_of_the_needed_rows(spread: float) -> None:
    rows = count_needed_rows(spread, 0.01)
    assert 1500 < rows < 2300  # the range that was measured on the default data
    assert detectable_margin(spread, rows) == pytest.approx(0.01, abs=1e-5)


@pytest.mark.parametrize(("held_out", "margin"), [(5000, 0.01), (1000, 0.02), (300, 0.03)])
def test_margin_is_the_smallest_that_the_rows_can_prove(held_out: int, margin: float) -> None:
    chosen = choose_margin(trial_of("auc", 0.8, 0.5, 0.19), held_out)
    assert chosen.value == margin
    assert chosen.fine_enough


def test_a_margin_that_is_too_fine_has_the_needed_rows() -> None:
    chosen = choose_margin(trial_of("auc", 0.8, 0.5, 0.5), 100)
    assert chosen.value == 0.05
    assert not chosen.fine_enough
    assert chosen.needed == count_needed_rows(0.5, 0.05) > 100


def test_a_margin_of_an_error_is_a_share_of_it() -> None:
    assert choose_margin(trial_of("mae", 40.0, 55.0, 5.0), 3000).value == 0.8


def test_floor_is_halfway_and_absent_within_the_interval() -> None:
    figure = trial_of("auc", 0.8, 0.5, 0.2).primary
    assert choose_floor(figure, 1000) == 0.65
    assert choose_floor(figure, 20) is None
    assert choose_floor(trial_of("mae", 40.0, 55.0, 5.0).primary, 1000) == 48.0
    assert choose_floor(trial_of("auc", 0.51, 0.5, 0.2).primary, 1000) is None


def test_calibration_is_judged_only_where_it_can_be_kept() -> None:
    good = Estimate(0.0, -0.01, 0.01, 2000, 0.005)
    slope = Estimate(1.0, 0.95, 1.05, 2000, 0.03)
    loose = Estimate(1.0, 0.5, 1.5, 2000, 0.25)
    plain = trial_of("auc", 0.8, 0.5, 0.2)
    for found, judged in ((slope, True), (loose, False)):
        trial = ModelTrial(plain.model, "", 1000, plain.figures, 0.2, good, found)
        assert (choose_calibration(trial, 2000) is not None) is judged
    assert choose_calibration(plain, 2000) is None

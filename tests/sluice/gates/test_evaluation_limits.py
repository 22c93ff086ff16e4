"""Intervals against the evaluation gate's limits, to the very end of each interval."""

from typing import Any

import pytest

from sluice.config.evaluation import Calibration, EvaluationConfig
from sluice.gates.evaluation import EvaluationGate, judge_calibration
from sluice.stats.baseline import BaselineFigure
from sluice.stats.bootstrap import Estimate
from sluice.stats.comparison import EvaluationEvidence, MetricFigure
from sluice.stats.slicing import SliceFigure
from sluice.verdict import Check, Outcome, Verdict

N = 900


def estimate(low: float, high: float, error: float = 0.01) -> Estimate:
    return Estimate((low + high) / 2, low, high, N, error)


def judge(
    difference: Estimate | None = None,
    auc: Estimate | None = None,
    loss: Estimate | None = None,
    slices: tuple[SliceFigure, ...] = (),
    **limits: Any,
) -> Verdict:
    """Judge a candidate whose figures are all well within the limits, but for those given."""
    good = estimate(0.85, 0.87)
    figures = (
        MetricFigure("auc", True, auc or good, good, difference or estimate(-0.005, 0.005)),
        MetricFigure("log_loss", False, loss or estimate(0.3, 0.4), good, estimate(0.0, 0.1)),
    )
    baseline = BaselineFigure("auc", 0.5, estimate(0.35, 0.37))
    evidence = EvaluationEvidence(
        "binary", "auc", N, N, True, (), figures, slices, baseline=baseline
    )
    config = EvaluationConfig(primary="auc", **limits)
    return EvaluationGate(config).judge(evidence)


def find(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.009, 0.01, Outcome.PASS),
        (-0.01, 0.01, Outcome.INSUFFICIENT),
        (-0.03, -0.01, Outcome.INSUFFICIENT),
        (-0.03, -0.011, Outcome.FAIL),
    ],
)
def test_the_primary_metric_passes_above_its_margin_and_fails_below(
    low: float, high: float, outcome: Outcome
) -> None:
    assert find(judge(estimate(low, high)), "auc against champion").outcome is outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.8, 0.9, Outcome.PASS),
        (0.79, 0.9, Outcome.INSUFFICIENT),
        (0.7, 0.8, Outcome.INSUFFICIENT),
        (0.7, 0.79, Outcome.FAIL),
    ],
)
def test_a_floor_passes_from_its_limit_on_and_fails_below(
    low: float, high: float, outcome: Outcome
) -> None:
    check = find(judge(auc=estimate(low, high), floors={"auc": 0.8}), "auc floor")
    assert (check.outcome, check.relation) == (outcome, ">=")


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.5, 0.6, Outcome.PASS),
        (0.5, 0.61, Outcome.INSUFFICIENT),
        (0.6, 0.7, Outcome.INSUFFICIENT),
        (0.61, 0.7, Outcome.FAIL),
    ],
)
def test_a_ceiling_passes_up_to_its_limit_and_fails_above(
    low: float, high: float, outcome: Outcome
) -> None:
    verdict = judge(loss=estimate(low, high), floors={"log_loss": 0.6})
    check = find(verdict, "log_loss ceiling")
    assert (check.outcome, check.relation) == (outcome, "<=")


def test_only_an_undecided_floor_says_how_many_rows_it_needs() -> None:
    """spread = error x sqrt(n) = .3; the figure is .01 above its floor: (2.486 x .3/.01)^2."""
    undecided = find(judge(auc=estimate(0.79, 0.83), floors={"auc": 0.8}), "auc floor")
    assert undecided.note == "hold out about 5,565 rows (now 900), or train a better model"
    failed = judge(auc=estimate(0.7, 0.75), floors={"auc": 0.8})
    assert find(failed, "auc floor").note == ""
    assert failed.next_step == "train a model whose auc reaches .800"
    assert find(judge(floors={"auc": 0.8}), "auc floor").note == ""


def test_a_figure_on_its_limit_needs_no_rows_but_a_better_model() -> None:
    on_limit = judge(auc=estimate(0.78, 0.82), floors={"auc": 0.8})
    assert find(on_limit, "auc floor").note.startswith("the figure lies on its limit: more rows")


def test_an_undecided_difference_says_how_many_rows_decide_equal_models() -> None:
    """spread .6 and margin .01: (2.486 x .6/.01)^2 rows."""
    verdict = judge(estimate(-0.02, 0.02, error=0.02))
    assert verdict.next_step.startswith("hold out about 22,258 rows (now 900): add data")
    few = judge(estimate(-0.011, -0.001, error=0.001))
    assert few.next_step == "hold out about 348 rows (now 900), or train a better model"


@pytest.mark.parametrize(("high", "outcome"), [(-0.05, Outcome.PASS), (-0.051, Outcome.FAIL)])
def test_a_slice_fails_wholly_below_its_margin(high: float, outcome: Outcome) -> None:
    figure = SliceFigure("sex", "f", 300, 0.7, 0.8, estimate(-0.2, high), 0.0125)
    check = find(judge(slices=(figure,)), "auc in sex=f")
    assert check.outcome is outcome
    assert check.note == ".700 against champion .800; bounds at level 0.9875 (Holm)"


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.03, 0.03, Outcome.PASS),
        (-0.031, 0.03, Outcome.INSUFFICIENT),
        (-0.03, 0.031, Outcome.INSUFFICIENT),
        (0.03, 0.05, Outcome.INSUFFICIENT),
        (0.031, 0.05, Outcome.FAIL),
        (-0.05, -0.03, Outcome.INSUFFICIENT),
        (-0.05, -0.031, Outcome.FAIL),
    ],
)
def test_a_calibration_gap_passes_up_to_its_limits(
    low: float, high: float, outcome: Outcome
) -> None:
    limits = Calibration(gap=0.03, slope=(0.8, 1.25))
    gap, slope = judge_calibration(limits, estimate(low, high), estimate(0.8, 1.25))
    assert (gap.outcome, slope.outcome) == (outcome, Outcome.PASS)


def test_twenty_slices_that_are_too_small_are_listed_and_the_others_counted() -> None:
    sizes = (*range(190, 211), 150)
    verdict = judge(slices=tuple(SliceFigure("town", f"t{n}", n) for n in sizes))
    listed = {check.name: check.note for check in verdict.checks if "town=" in check.name}
    assert list(listed) == [f"town=t{n}" for n in range(190, 210)]
    assert listed["town=t199"] == "not judged: fewer than 200 rows"
    assert listed["town=t200"] == "not judged: not measurable"
    rest = find(verdict, "small slices")
    assert (rest.note, rest.n) == ("2 more slices are too small to judge", 210 + 150)


def test_a_primary_metric_that_was_not_measured_is_named() -> None:
    evidence = EvaluationEvidence("binary", "auc", N, N, True, (), ())
    verdict = EvaluationGate(EvaluationConfig(primary="auc")).judge(evidence)
    assert not verdict.passed
    assert verdict.reason.startswith("auc cannot be measured on 900 held-out rows")

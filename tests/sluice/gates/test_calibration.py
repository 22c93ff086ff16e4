import pytest

from sluice.config.evaluation import Calibration
from sluice.gates.evaluation import judge_calibration
from sluice.stats.bootstrap import Estimate
from sluice.verdict import Outcome

LIMITS = Calibration(gap=0.03, slope=(0.8, 1.25))
GAP = Estimate(0.0, -0.01, 0.01, 900, 0.006)
SLOPE = Estimate(1.0, 0.9, 1.1, 900, 0.06)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.02, 0.02, Outcome.PASS),
        (0.01, 0.05, Outcome.INSUFFICIENT),
        (-0.05, -0.01, Outcome.INSUFFICIENT),
        (0.04, 0.06, Outcome.FAIL),
        (-0.06, -0.04, Outcome.FAIL),
    ],
)
def test_gap_is_placed_by_its_interval(low: float, high: float, outcome: Outcome) -> None:
    gap = Estimate((low + high) / 2, low, high, 900, 0.006)
    assert [finding.outcome for finding in judge_calibration(LIMITS, gap, SLOPE)] == [
        outcome,
        Outcome.PASS,
    ]


def test_overconfident_slope_fails_at_the_lower_end() -> None:
    finding = judge_calibration(LIMITS, GAP, Estimate(0.6, 0.5, 0.7, 900, 0.06))[1]
    assert (finding.outcome, finding.check.limit) == (Outcome.FAIL, 0.8)
    assert "allowed [.800, 1.250]" in finding.sentence
    assert "recalibrate" in finding.advice


def test_slope_that_could_not_be_fitted_is_insufficient() -> None:
    finding = judge_calibration(LIMITS, GAP, Estimate(None, None, None, 900))[1]
    assert finding.outcome is Outcome.INSUFFICIENT


def test_calibration_that_was_not_measured_is_insufficient() -> None:
    outcomes = {finding.outcome for finding in judge_calibration(LIMITS, None, None)}
    assert outcomes == {Outcome.INSUFFICIENT}


def test_calibration_without_limits_is_shown() -> None:
    findings = judge_calibration(None, GAP, SLOPE)
    assert [finding.outcome for finding in findings] == [Outcome.LISTED, Outcome.LISTED]
    assert findings[1].check.measured == 1.0

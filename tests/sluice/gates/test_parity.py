"""The parity gate passes equal predictions, stops different ones, and reports missing evidence."""

import numpy as np
import pytest

from sluice.gates.parity import ParityEvidence, ParityGate, choose_backend, measure_parity
from sluice.report.verdict_table import verdict_rows
from sluice.stats.holdout import Predictions
from sluice.verdict import Outcome

GOOD = ParityEvidence(n=7_182, difference=2e-16, allowed=1.5e-5)
DIFFERS = ParityEvidence(n=7_182, difference=0.07, allowed=1.5e-5, beyond=12)
FLIPS = ParityEvidence(n=7_182, difference=1e-9, allowed=1.5e-5, flips=3)
UNCONVERTED = ParityEvidence(missing="no ONNX graph for SVC")
EMPTY = ParityEvidence()


@pytest.mark.parametrize("serving", ["auto", "onnx"])
def test_equal_export_passes_and_serves(serving: str) -> None:
    verdict = ParityGate(serving).judge(GOOD)
    assert verdict.passed
    assert choose_backend(verdict) == "onnx"
    assert verdict.reason.startswith("ONNX export differs by at most ")
    assert verdict.reason.endswith("no label flips, n 7,182")
    assert verdict.notices == ()


def test_difference_has_the_unit_of_what_is_predicted() -> None:
    labels, scores = np.array([1, 0]), np.array([0.9, 0.2])
    classes = measure_parity(*(Predictions(labels, scores + add, (0, 1)) for add in (0.0, 0.1)))
    numbers = measure_parity(*(Predictions(scores + add) for add in (0.0, 0.1)))
    for evidence, unit in ((classes, "probability"), (numbers, "target units")):
        verdict = ParityGate("onnx").judge(evidence)
        row = next(row for row in verdict_rows(verdict) if row["check"] == "largest difference")
        assert row["measured"] == f"0.100 {unit}"
        assert f"differs by .100 {unit} from the native model" in verdict.reason


def test_difference_halts() -> None:
    verdict = ParityGate("onnx").judge(DIFFERS)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("ONNX export differs by .070 from the native model, limit ")
    assert "12 of n 7,182" in verdict.reason
    assert "serving: sklearn" in verdict.next_step


def test_flipped_label_halts_though_numbers_agree() -> None:
    verdict = ParityGate("onnx").judge(FLIPS)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "3 labels of the ONNX export flip, limit 0, n 7,182"


def test_flips_are_reported_before_differences() -> None:
    both = ParityEvidence(n=50, difference=0.07, allowed=1e-5, beyond=2, flips=1)
    reason = ParityGate("onnx").judge(both).reason
    assert reason == "1 labels of the ONNX export flip, limit 0, n 50; 1 more check failed"


@pytest.mark.parametrize("evidence", [UNCONVERTED, EMPTY])
def test_missing_evidence_halts(evidence: ParityEvidence) -> None:
    verdict = ParityGate("onnx").judge(evidence)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == (evidence.missing or "there is no held-out row to compare on")


@pytest.mark.parametrize("evidence", [DIFFERS, FLIPS, UNCONVERTED, EMPTY])
def test_auto_falls_back_to_the_native_model_with_a_red_line(evidence: ParityEvidence) -> None:
    verdict = ParityGate("auto").judge(evidence)
    assert verdict.passed
    assert choose_backend(verdict) == "sklearn"
    assert verdict.notices[0].startswith("RED LINE: the slower native model serves, not ONNX: ")
    assert verdict.reason.startswith("the native model serves: ")
    assert Outcome.LISTED in {check.outcome for check in verdict.checks}
    assert Outcome.FAIL not in {check.outcome for check in verdict.checks}


@pytest.mark.parametrize("evidence", [GOOD, DIFFERS, EMPTY])
def test_native_model_by_choice_passes_without_a_red_line(evidence: ParityEvidence) -> None:
    verdict = ParityGate("sklearn").judge(evidence)
    assert verdict.passed
    assert choose_backend(verdict) == "sklearn"
    assert verdict.notices == ()

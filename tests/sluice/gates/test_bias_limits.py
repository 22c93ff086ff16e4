"""Intervals against the bias gate's limits, and which limit a figure is shown with."""

from dataclasses import replace

import pytest

from sluice.config.bias import BiasConfig
from sluice.gates.bias import BiasEvidence, BiasGate
from sluice.stats.bootstrap import Estimate
from sluice.stats.fairness import FairnessFigure, FairnessKind
from sluice.verdict import Check, Outcome, Verdict

HALT = BiasConfig(sensitive=("sex",), on_unproved="halt")


def figure_of(
    kind: FairnessKind, low: float | None, high: float | None, value: float | None = None
) -> FairnessFigure:
    middle = (low + high) / 2 if low is not None and high is not None else None
    estimate = Estimate(middle if value is None else value, low, high, 900, 0.01)
    return FairnessFigure(kind, "sex=female", False, estimate, 0.25, 0.5, 0.75)


def judge(*figures: FairnessFigure, limits: BiasConfig = HALT) -> Verdict:
    return BiasGate(limits).judge(BiasEvidence("binary", 2_000, ("sex",), figures=figures))


def check_of(kind: FairnessKind, low: float | None, high: float | None) -> Check:
    (check,) = judge(figure_of(kind, low, high)).checks
    return check


@pytest.mark.parametrize(
    ("kind", "low", "high", "outcome"),
    [
        ("selection_ratio", 0.8, 0.9, Outcome.PASS),
        ("selection_ratio", 0.79, 0.9, Outcome.INSUFFICIENT),
        ("selection_ratio", 0.7, 0.8, Outcome.INSUFFICIENT),
        ("selection_ratio", 0.7, 0.79, Outcome.FAIL),
        ("selection_ratio", None, None, Outcome.INSUFFICIENT),
        ("true_positive_difference", -0.1, 0.0, Outcome.PASS),
        ("true_positive_difference", -0.2, -0.1, Outcome.INSUFFICIENT),
        ("true_positive_difference", -0.2, -0.11, Outcome.FAIL),
        ("false_positive_difference", -0.15, 0.15, Outcome.PASS),
        ("false_positive_difference", -0.16, 0.15, Outcome.INSUFFICIENT),
        ("false_positive_difference", -0.15, 0.16, Outcome.INSUFFICIENT),
        ("false_positive_difference", 0.15, 0.2, Outcome.INSUFFICIENT),
        ("false_positive_difference", 0.16, 0.2, Outcome.FAIL),
        ("false_positive_difference", -0.2, -0.15, Outcome.INSUFFICIENT),
        ("false_positive_difference", -0.2, -0.16, Outcome.FAIL),
        ("loss_ratio", 1.0, 1.25, Outcome.PASS),
        ("loss_ratio", 1.2, 1.26, Outcome.INSUFFICIENT),
        ("loss_ratio", 1.25, 1.3, Outcome.INSUFFICIENT),
        ("loss_ratio", 1.26, 1.3, Outcome.FAIL),
    ],
)
def test_an_interval_fails_wholly_beyond_the_limit_and_passes_wholly_within(
    kind: FairnessKind, low: float | None, high: float | None, outcome: Outcome
) -> None:
    assert check_of(kind, low, high).outcome is outcome


@pytest.mark.parametrize(
    ("kind", "value", "limit", "relation"),
    [
        ("false_positive_difference", 0.05, 0.15, "<="),
        ("false_positive_difference", -0.05, -0.15, ">="),
        ("false_positive_difference", 0.0, -0.15, ">="),
        ("selection_ratio", 1.1, 0.8, ">="),
        ("true_positive_difference", 0.1, -0.1, ">="),
        ("loss_ratio", 0.9, 1.25, "<="),
    ],
)
def test_a_figure_is_shown_with_the_limit_on_its_own_side(
    kind: FairnessKind, value: float, limit: float, relation: str
) -> None:
    check = check_of(kind, value - 0.02, value + 0.02)
    assert (check.limit, check.relation) == (limit, relation)


def test_what_is_not_proved_is_listed_counted_and_said() -> None:
    proved = figure_of("selection_ratio", 0.85, 0.95)
    open_one = figure_of("true_positive_difference", -0.2, 0.0)
    small = replace(proved, group="sex=x", judged=False, note="the group has 9 rows, 100 needed")
    limits = HALT.model_copy(update={"on_unproved": "list"})
    verdict = judge(proved, open_one, small, limits=limits)
    assert verdict.reason == (
        "no group treated beyond the limits: 1 checks proved, 1 not proved, 1 too small to judge"
    )
    assert [check.outcome for check in verdict.checks] == [
        Outcome.PASS, Outcome.LISTED, Outcome.LISTED
    ]  # fmt: skip
    assert [notice.partition(":")[0] for notice in verdict.notices] == [
        "not proved", "selection ratio of sex=x not judged"
    ]  # fmt: skip
    assert [check.note.startswith("not proved; group .250") for check in verdict.checks] == [
        False, True, False
    ]  # fmt: skip
    without = judge(proved, limits=limits)
    assert without.reason.endswith("1 checks proved, 0 not proved")
    assert without.notices == ()


def test_a_halt_asks_for_rows_and_a_failure_for_a_repair() -> None:
    halted = judge(figure_of("true_positive_difference", -0.2, 0.0))
    assert halted.outcome is Outcome.INSUFFICIENT
    assert halted.next_step.startswith("hold out more rows of the group")
    failed = judge(figure_of("true_positive_difference", -0.3, -0.2))
    assert "bias.mitigation: reweigh" in failed.next_step


def test_labels_stand_beside_a_ratio_where_they_are_known() -> None:
    figure = figure_of("selection_ratio", 0.5, 0.6)
    assert ", labels alone .750" in judge(figure).reason
    assert "labels alone" not in judge(replace(figure, label_ratio=None)).reason

import pytest

from sluice.gates.finding import Finding, conclude, format_figure, report_missing
from sluice.verdict import Check, Outcome


def make(name: str, outcome: Outcome) -> Finding:
    return Finding(Check(name, outcome), f"{name} says", f"repair {name}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8124, ".812"),
        (-0.01, "-.010"),
        (0.0, ".000"),
        (-0.0, ".000"),
        (0.99999, "1.000"),
        (1.25, "1.250"),
        (23.456, "23.5"),
        (12345.6, "12,346"),
        (-0.0001, "-.0001"),
        (2e-7, "2e-07"),
        (None, "unknown"),
    ],
)
def test_figure_is_written_as_short_text(value: float | None, text: str) -> None:
    assert format_figure(value) == text


def test_first_failure_is_the_reason_and_the_others_are_counted() -> None:
    findings = [make("a", Outcome.PASS), make("b", Outcome.FAIL), make("c", Outcome.FAIL)]
    verdict = conclude("g", findings, "fine")
    assert verdict.reason == "b says; 1 more check failed"
    assert verdict.next_step == "repair b"


def test_failure_outranks_missing_evidence() -> None:
    findings = [report_missing("a", "a is missing", "find a"), make("b", Outcome.FAIL)]
    assert conclude("g", findings, "fine").reason == "b says"


def test_missing_evidence_outranks_a_pass() -> None:
    findings = [make("a", Outcome.PASS), *(make(name, Outcome.INSUFFICIENT) for name in "bcd")]
    assert conclude("g", findings, "fine").reason == "b says; 2 more checks could not be decided"


def test_all_passing_has_the_passing_reason() -> None:
    verdict = conclude("g", [make("a", Outcome.PASS)], "fine", ["note"])
    assert (verdict.message, verdict.notices) == ("fine", ("note",))

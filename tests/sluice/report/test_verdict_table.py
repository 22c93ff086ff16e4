import pytest

from sluice.report.verdict_table import (
    count_outcomes,
    format_interval,
    format_number,
    summary_rows,
    verdict_rows,
)
from sluice.verdict import Check, Outcome, Verdict

CHECKS = (
    Check("accuracy floor", Outcome.PASS, 0.79, (0.78, 0.8), 0.75, ">=", n=2412),
    Check("race=other", Outcome.LISTED, n=11, note="too small"),
    Check("age filled", Outcome.FAIL, 12, None, 0, "<=", "rows", 12000),
    Check("auc against champion", Outcome.INSUFFICIENT, -0.0226, (-0.031, -0.0142), -0.01, ">"),
)
VERDICT = Verdict("evaluation", Outcome.FAIL, CHECKS, "12 rows without age", "fill them in")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (12345, "12,345"),
        (0.812, "0.812"),
        (-0.0142, "-0.014"),
        (12345.678, "12,346"),
        (104.26, "104.3"),
        (12.345, "12.35"),
        (0.000012, "1.2e-05"),
        (0, "0"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_written_as_a_person_reads_them(value, written) -> None:
    assert format_number(value) == written


def test_intervals_have_brackets_and_no_negative_zero() -> None:
    assert format_interval((-0.031, -0.014)) == "[-0.031, -0.014]"
    assert format_interval((-0.0001, 0.012)) == "[0.000, 0.012]"
    assert format_interval(None) == ""


def test_what_stopped_the_gate_comes_first() -> None:
    names = [row["check"] for row in verdict_rows(VERDICT)]
    assert names == ["age filled", "auc against champion", "race=other", "accuracy floor"]


def test_a_count_has_its_unit_and_no_decimals() -> None:
    row = verdict_rows(VERDICT)[0]
    assert (row["measured"], row["limit"], row["n"]) == ("12 rows", "≤ 0", "12,000")


def test_a_figure_has_decimals_interval_and_limit() -> None:
    row = verdict_rows(VERDICT)[-1]
    assert list(row) == ["check", "outcome", "measured", "interval", "limit", "n", "note"]
    assert list(row.values())[2:6] == ["0.790", "[0.780, 0.800]", "≥ 0.750", "2,412"]


def test_beside_an_interval_the_unit_names_the_rows() -> None:
    check = Check("found", Outcome.PASS, 0.0, (-0.1, 0.1), -0.1, ">=", "positives", 1204)
    row = verdict_rows(Verdict("bias", Outcome.PASS, (check,), "", ""))[0]
    assert (row["measured"], row["n"]) == ("0.000", "1,204 positives")


def test_what_was_not_measured_is_empty() -> None:
    row = verdict_rows(VERDICT)[2]
    assert (row["measured"], row["interval"], row["limit"], row["n"]) == ("", "", "", "11")


def test_every_cell_is_text() -> None:
    for row in [*verdict_rows(VERDICT), *summary_rows([VERDICT])]:
        assert all(isinstance(value, str) for value in row.values())


def test_a_summary_counts_checks_and_gives_the_reason() -> None:
    row = summary_rows([VERDICT])[0]
    assert row["checks"] == "1 fail, 1 insufficient, 1 listed, 1 pass"
    assert (row["gate"], row["outcome"]) == ("evaluation", "fail")
    assert row["reason"] == "12 rows without age"


def test_a_verdict_without_checks_counts_none() -> None:
    assert count_outcomes(Verdict("data", Outcome.PASS, (), "", "")) == "none"

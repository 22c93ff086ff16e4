"""A release's record: which gate stopped it, and what its message advises."""

from datetime import UTC, datetime

from sluice.control.release import HALTED, REGISTERED, GateResult, ReleaseRecord

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
DATA = GateResult("data", "pass", "47 rules hold")
WORSE = GateResult("evaluation", "fail", "auc .812 against .835")
UNDECIDED = GateResult("evaluation", "insufficient", "312 rows more are needed")


def make(outcome: str, *gates: GateResult, message: str = "") -> ReleaseRecord:
    ids = ("run", "0", "flow")
    return ReleaseRecord(
        "town", *ids, 3, "by hand", AT, AT, outcome, None, message=message, gates=gates
    )


def test_a_halted_release_names_the_gate_that_stopped_it() -> None:
    assert make(HALTED, DATA, WORSE).stopped_by == "evaluation"
    assert make(HALTED, DATA, UNDECIDED).stopped_by == "evaluation"


def test_no_gate_stopped_a_release_that_ended_otherwise() -> None:
    assert make(REGISTERED, DATA, UNDECIDED).stopped_by == ""
    assert make(HALTED, DATA).stopped_by == ""
    assert make(HALTED).stopped_by == ""


def test_the_advice_is_what_follows_the_fact() -> None:
    assert make(HALTED, WORSE, message="worse; next: add rows").advice == "add rows"
    assert make(HALTED, WORSE, message="worse").advice == ""

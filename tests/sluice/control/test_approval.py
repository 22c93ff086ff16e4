"""The answer to a request for approval at a time, and what needs a person's approval."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sluice.control.approval import (
    ANSWER,
    Approval,
    ApprovalAnswer,
    digest_verdicts,
    may_stay_open,
    read_request,
    say_not_approved,
    tag_decision,
    tag_request,
)
from sluice.verdict import Check, Outcome, Verdict

DEADLINE = datetime(2026, 1, 2, tzinfo=UTC)
ASKED = Approval("employment", 3, "f" * 64, DEADLINE)


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [(-1, ApprovalAnswer.PENDING), (0, ApprovalAnswer.EXPIRED), (1, ApprovalAnswer.EXPIRED)],
)
def test_nobody_s_answer_in_time_is_a_time_out(seconds: int, answer: ApprovalAnswer) -> None:
    assert ASKED.answer_at(DEADLINE + timedelta(seconds=seconds)) is answer


def test_an_answer_outlives_the_deadline() -> None:
    given = Approval("employment", 3, "f" * 64, DEADLINE, ApprovalAnswer.APPROVED)
    assert given.answer_at(DEADLINE + timedelta(days=9)) is ApprovalAnswer.APPROVED


def make_verdict(gate: str, outcome: Outcome = Outcome.PASS, measured: float = 0.79) -> Verdict:
    check = Check("auc floor", outcome, measured, (0.78, 0.8), 0.8, ">=", "", 2412)
    return Verdict(gate, outcome, (check,), "auc .790", "train again", ("a note",))


SHOWN = (make_verdict("data"), make_verdict("evaluation"))


def test_digest_is_the_same_in_any_order_and_from_a_file() -> None:
    kept = [Verdict.from_dict(json.loads(json.dumps(item.to_dict()))) for item in SHOWN]
    assert digest_verdicts(SHOWN) == digest_verdicts(kept[::-1])
    assert len(digest_verdicts(SHOWN)) == 64


def test_digest_tells_other_figures() -> None:
    other = (SHOWN[0], make_verdict("evaluation", measured=0.791))
    assert digest_verdicts(SHOWN) != digest_verdicts(other)


@pytest.mark.parametrize(
    ("gate", "outcome", "on_insufficient", "left_open"),
    [
        ("evaluation", Outcome.INSUFFICIENT, "approve", True),
        ("evaluation", Outcome.INSUFFICIENT, "halt", False),
        ("evaluation", Outcome.FAIL, "approve", False),
        ("evaluation", Outcome.PASS, "approve", False),
        ("bias", Outcome.INSUFFICIENT, "approve", False),
        ("data", Outcome.INSUFFICIENT, "approve", False),
        ("parity", Outcome.INSUFFICIENT, "approve", False),
    ],
)
def test_only_an_insufficient_evaluation_is_left_to_a_person(
    gate: str, outcome: Outcome, on_insufficient: str, left_open: bool
) -> None:
    assert may_stay_open(make_verdict(gate, outcome), on_insufficient) is left_open


def test_nobody_is_asked_where_all_passed_and_the_configuration_does_not_want_it() -> None:
    assert tag_request(False, SHOWN, DEADLINE) == {}


@pytest.mark.parametrize(
    ("asked", "outcome"), [(True, Outcome.PASS), (False, Outcome.INSUFFICIENT)]
)
def test_tags_of_a_request_tell_all_of_it(asked: bool, outcome: Outcome) -> None:
    verdicts = (SHOWN[0], make_verdict("evaluation", outcome))
    tags = tag_request(asked, verdicts, DEADLINE)
    assert tags[ANSWER] == "pending"
    expected = Approval("employment", 3, digest_verdicts(verdicts), DEADLINE)
    assert read_request("employment", 3, tags) == expected


def test_a_version_that_nobody_was_asked_about_has_no_request() -> None:
    assert read_request("employment", 3, {"sluice.release": "abc"}) is None


def test_tags_of_a_decision_tell_who_why_and_when() -> None:
    decision = ASKED.decide(ApprovalAnswer.REFUSED, "Ada", "too early", DEADLINE)
    assert tag_decision(decision) == {
        "sluice.approval": "refused",
        "sluice.approval.by": "Ada",
        "sluice.approval.reason": "too early",
        "sluice.approval.at": "2026-01-02T00:00:00+00:00",
    }


@pytest.mark.parametrize("answer", ["refused", "expired", "superseded", "whatever"])
def test_what_was_not_approved_is_to_be_released_again(answer: str) -> None:
    assert "next: release again" in say_not_approved("employment", 3, answer)


def test_what_waits_is_to_be_decided() -> None:
    message = say_not_approved("employment", 3, "pending")
    assert message.startswith("employment v3 waits for a person's approval; next: `sluice approve")

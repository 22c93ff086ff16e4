"""Approvals on a real database: decided once, with a name and a reason, which are recorded."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.control.approval import Approval, ApprovalAnswer
from sluice.errors import DecisionRefused
from sluice.home import Home

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=24)
LATE = DEADLINE + timedelta(seconds=1)
DIGEST = "f" * 64


@pytest.fixture
def asked(control: Control) -> Approval:
    return control.approvals.request("employment", 3, DIGEST, DEADLINE)


def test_a_request_is_pending(control: Control, asked: Approval) -> None:
    assert asked == Approval("employment", 3, DIGEST, DEADLINE)
    assert control.approvals.list_requests("employment") == [asked]
    assert control.approvals.list_decisions("employment") == []


def test_asking_again_keeps_the_first_deadline_and_answer(
    control: Control, asked: Approval
) -> None:
    approved = control.approvals.decide(asked, ApprovalAnswer.APPROVED, "Ada", "figures hold", NOW)
    assert control.approvals.request("employment", 3, DIGEST, LATE) == approved


def test_other_verdicts_are_another_request(control: Control, asked: Approval) -> None:
    control.approvals.decide(asked, ApprovalAnswer.APPROVED, "Ada", "figures hold", NOW)
    other = control.approvals.request("employment", 3, "0" * 64, DEADLINE)
    assert other.answer is ApprovalAnswer.PENDING


@pytest.mark.parametrize("answer", [ApprovalAnswer.APPROVED, ApprovalAnswer.REFUSED])
def test_a_decision_is_logged_with_who_why_and_when(
    control: Control, asked: Approval, answer: ApprovalAnswer
) -> None:
    assert control.approvals.decide(asked, answer, "Ada", "it is so", NOW).answer is answer
    assert control.approvals.list_decisions("employment") == [
        asked.decide(answer, "Ada", "it is so", NOW)
    ]
    found = control.approvals.find("employment", 3, DIGEST)
    assert found == replace(asked, answer=answer)


def test_a_second_decision_is_refused(control: Control, asked: Approval) -> None:
    control.approvals.decide(asked, ApprovalAnswer.APPROVED, "Ada", "figures hold", NOW)
    with pytest.raises(DecisionRefused, match="employment v3 is approved already"):
        control.approvals.decide(asked, ApprovalAnswer.REFUSED, "Bob", "not so", NOW)
    assert len(control.approvals.list_decisions("employment")) == 1


def test_the_same_words_again_change_nothing(control: Control, asked: Approval) -> None:
    first = control.approvals.decide(asked, ApprovalAnswer.REFUSED, "Ada", "too early", NOW)
    assert (
        control.approvals.decide(asked, ApprovalAnswer.REFUSED, "Ada", "too early", LATE) == first
    )
    assert len(control.approvals.list_decisions("employment")) == 1


def test_a_late_decision_is_refused_and_the_time_out_logged(
    control: Control, asked: Approval
) -> None:
    with pytest.raises(DecisionRefused, match="is expired already"):
        control.approvals.decide(asked, ApprovalAnswer.APPROVED, "Ada", "figures hold", LATE)
    [line] = control.approvals.list_decisions("employment")
    assert (line.answer, line.by, line.at) == (ApprovalAnswer.EXPIRED, "the deadline", LATE)


def test_late_requests_are_closed_once(control: Control, asked: Approval) -> None:
    assert control.approvals.expire("employment", NOW) == []
    assert control.approvals.expire("employment", LATE) == [
        replace(asked, answer=ApprovalAnswer.EXPIRED)
    ]
    assert control.approvals.expire("employment", LATE) == []


def test_a_newer_version_closes_open_requests_for_older_ones(
    control: Control, asked: Approval
) -> None:
    newer = control.approvals.request("employment", 4, DIGEST, DEADLINE)
    ended = replace(asked, answer=ApprovalAnswer.SUPERSEDED)
    assert control.approvals.supersede("employment", 4, NOW) == [ended]
    assert control.approvals.supersede("employment", 4, NOW) == []
    assert control.approvals.list_requests("employment") == [ended, newer]
    with pytest.raises(DecisionRefused, match="v3 is superseded already"):
        control.approvals.decide(asked, ApprovalAnswer.APPROVED, "Ada", "figures hold", NOW)


@pytest.mark.parametrize(
    ("answer", "by", "reason", "found"),
    [
        (ApprovalAnswer.APPROVED, " ", "so", "without a name"),
        (ApprovalAnswer.APPROVED, "Ada", "", "without a reason"),
        (ApprovalAnswer.EXPIRED, "Ada", "so", "found 'expired'"),
        (ApprovalAnswer.PENDING, "Ada", "so", "found 'pending'"),
    ],
)
def test_a_decision_needs_an_answer_a_name_and_a_reason(
    control: Control, asked: Approval, answer: ApprovalAnswer, by: str, reason: str, found: str
) -> None:
    with pytest.raises(DecisionRefused, match=found):
        control.approvals.decide(asked, answer, by, reason, NOW)
    assert control.approvals.list_requests("employment") == [asked]


def test_without_a_request_there_is_no_decision(control: Control) -> None:
    with pytest.raises(DecisionRefused, match="no such approval was requested"):
        control.approvals.decide(
            Approval("employment", 4, DIGEST, DEADLINE), ApprovalAnswer.APPROVED, "Ada", "so", NOW
        )


def test_times_come_back_whatever_zone_they_were_given_in(control: Control) -> None:
    deadline = datetime(2026, 1, 3, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert control.approvals.request("employment", 5, DIGEST, deadline).deadline == deadline


def test_of_many_deciders_at_once_one_is_heard(store: Home, asked: Approval) -> None:
    heard: list[str] = []

    def decide(name: str) -> None:
        answer = ApprovalAnswer.APPROVED if int(name) % 2 else ApprovalAnswer.REFUSED
        try:
            open_control(store).approvals.decide(asked, answer, name, "so", NOW)
        except DecisionRefused:
            return
        heard.append(name)

    deciders = [threading.Thread(target=decide, args=(str(number),)) for number in range(8)]
    for decider in deciders:
        decider.start()
    for decider in deciders:
        decider.join()
    lines = open_control(store).approvals.list_decisions("employment")
    assert [line.by for line in lines] == heard
    assert len(heard) == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE decisions SET reason = 'x'", "DELETE FROM decisions"]
)
def test_the_log_is_only_appended_to(control: Control, asked: Approval, statement: str) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DatabaseError

    control.approvals.decide(asked, ApprovalAnswer.APPROVED, "Ada", "figures hold", NOW)
    engine = control.approvals._database.engine
    with pytest.raises(DatabaseError, match="decisions are only appended"), engine.begin() as open_:
        open_.execute(text(statement))
    assert len(control.approvals.list_decisions("employment")) == 1

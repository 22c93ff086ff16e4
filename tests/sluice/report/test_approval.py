"""The pages that a person reads before and after deciding on a version."""

from datetime import UTC, datetime

import pytest

from sluice.control.approval import Approval, ApprovalAnswer
from sluice.report.approval import MAX_CHECKS, describe_answer, write_decision, write_request
from sluice.verdict import Check, Outcome, Verdict

REQUEST = Approval("alpha", 3, "f" * 64, datetime(2026, 1, 2, 9, 30, tzinfo=UTC))
OPEN = Check("auc floor", Outcome.INSUFFICIENT, 0.79, (0.78, 0.81), 0.8, ">=", "", 2412)
VERDICTS = (
    Verdict("data", Outcome.PASS, (), "12,000 rows", ""),
    Verdict("evaluation", Outcome.INSUFFICIENT, (OPEN,), "auc .790, floor .800", "add rows"),
)
LINKS = {"MLflow run": "http://localhost/#/runs/1", "data docs": ""}


def test_request_has_deadline_ways_and_verdicts() -> None:
    page = write_request(REQUEST, VERDICTS, LINKS, "http://localhost/form")
    for words in (
        "# alpha v3 waits for your approval",
        "Decide before 2026-01-02 09:30 UTC.",
        "(http://localhost/form)",
        "`sluice approve alpha --version 3 --by NAME --reason WORDS`",
        "**The evaluation gate is undecided:** auc .790, floor .800.",
        "| evaluation | insufficient | 1 insufficient | auc .790, floor .800 |",
        "**insufficient**",
        "| auc floor | 0.790<br>[0.780, 0.810]<br>n 2,412 | ≥ 0.800 |",
        "[MLflow run](http://localhost/#/runs/1)",
    ):
        assert words in page
    assert "data docs" not in page


def test_request_without_a_form_leaves_the_terminal() -> None:
    page = write_request(REQUEST, VERDICTS, LINKS, "")
    assert "in the browser" not in page
    assert "`sluice refuse alpha --version 3" in page


def test_decision_shows_author_reason_and_verdicts() -> None:
    decision = REQUEST.decide(ApprovalAnswer.REFUSED, "Ada", "too | early", REQUEST.deadline)
    page = write_decision(decision, VERDICTS, LINKS, "it is no longer a candidate")
    for words in ("# alpha v3 is refused", "| by | Ada |", "too \\| early", "auc floor"):
        assert words in page


def test_long_verdicts_are_cut_and_say_where_the_rest_is() -> None:
    checks = tuple(Check(f"rule {number}", Outcome.PASS) for number in range(MAX_CHECKS + 5))
    page = write_request(REQUEST, [Verdict("data", Outcome.PASS, checks, "fine", "")], LINKS, "")
    assert page.count("| rule ") == MAX_CHECKS
    assert "5 more checks in `verdicts/data.json`" in page


@pytest.mark.parametrize(
    ("answer", "alias", "words"),
    [
        (ApprovalAnswer.APPROVED, "champion", "is champion"),
        (ApprovalAnswer.APPROVED, "candidate", "`sluice promote alpha`"),
        (ApprovalAnswer.REFUSED, "", "is no longer a candidate"),
        (ApprovalAnswer.EXPIRED, "", "is no longer a candidate"),
    ],
)
def test_each_answer_says_what_follows(answer: ApprovalAnswer, alias: str, words: str) -> None:
    assert words in describe_answer(answer, "alpha", 3, alias)

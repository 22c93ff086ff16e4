"""How a request for approval stands at a time."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.control.approval import Answer, Approval

DEADLINE = datetime(2026, 1, 2, tzinfo=UTC)
ASKED = Approval("employment", 3, "f" * 64, DEADLINE)


@pytest.mark.parametrize(
    ("seconds", "answer"), [(-1, Answer.PENDING), (0, Answer.EXPIRED), (1, Answer.EXPIRED)]
)
def test_nobody_s_answer_in_time_is_a_time_out(seconds: int, answer: Answer) -> None:
    assert ASKED.answer_at(DEADLINE + timedelta(seconds=seconds)) is answer


def test_an_answer_outlives_the_deadline() -> None:
    given = Approval("employment", 3, "f" * 64, DEADLINE, Answer.APPROVED)
    assert given.answer_at(DEADLINE + timedelta(days=9)) is Answer.APPROVED

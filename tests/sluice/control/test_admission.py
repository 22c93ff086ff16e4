"""Which versions may serve: by verdicts, recorded approvals and exceptions, whatever names them."""

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.control.admission import GATES, VERDICT, GateException, admit_version
from sluice.control.approval import ANSWER, Approval, ApprovalAnswer
from sluice.verdict import Outcome

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANSWERS = [None, *ApprovalAnswer]
OUTCOMES = [None, *(outcome.value for outcome in Outcome), "other"]


def tags_of(approval: str | None = None, **outcomes: str | None) -> dict[str, str]:
    """Return a version's tags: every gate passed, but for the outcomes that are given."""
    found = {gate: outcomes.get(gate, "pass") for gate in GATES}
    tags = {f"{VERDICT}{gate}": outcome for gate, outcome in found.items() if outcome}
    return tags | ({ANSWER: approval} if approval else {})


def request_of(answer: ApprovalAnswer, version: int = 3) -> Approval:
    return Approval("town", version, "digest", NOW, answer)


def admit(tags: dict[str, str], answer: ApprovalAnswer | None = None, *forced: int) -> str:
    """Return the objection to version 3; empty where it may serve."""
    requests = [request_of(answer)] if answer else []
    made = [GateException("town", version, "Ada", "an outage", NOW) for version in forced]
    return admit_version("town", 3, tags, requests, made).objection


def test_a_version_that_passed_every_gate_may_serve() -> None:
    assert admit(tags_of()) == ""
    assert admit_version("town", 3, tags_of(), [], []).ground == "every gate passed it"


@pytest.mark.parametrize(
    ("gate", "outcome", "answer"), list(product(GATES, OUTCOMES, ANSWERS)), ids=str
)
def test_without_every_verdict_and_the_recorded_approval_it_may_not(
    gate: str, outcome: str | None, answer: ApprovalAnswer | None
) -> None:
    approved = answer is ApprovalAnswer.APPROVED
    undecided = gate == "evaluation" and outcome == "insufficient"
    allowed = (outcome == "pass" or (undecided and approved)) and (answer is None or approved)
    objection = admit(tags_of(**{gate: outcome}), answer)
    assert (objection == "") is allowed
    assert not objection or "; next: " in objection


@pytest.mark.parametrize("approval", [answer.value for answer in ApprovalAnswer])
def test_an_approval_that_only_the_registry_has_does_not_count(approval: str) -> None:
    assert "is not recorded in the control store" in admit(tags_of(approval))


def test_the_last_answer_to_this_version_counts() -> None:
    approved, refused = request_of(ApprovalAnswer.APPROVED), request_of(ApprovalAnswer.REFUSED)
    other = request_of(ApprovalAnswer.APPROVED, version=4)
    found = admit_version("town", 3, tags_of(), [approved, refused, other], [])
    assert "was refused by a person" in found.objection


def test_a_version_that_was_registered_by_hand_may_not_serve() -> None:
    assert "town v3: it carries no verdict; every verdict must be `pass`" in admit({})
    assert "sluice restore town 3 --force --by NAME --reason WORDS" in admit({})


def test_an_exception_of_a_person_counts_for_its_version_only() -> None:
    assert admit({}, None, 3) == ""
    assert admit({}, ApprovalAnswer.REFUSED, 3) == ""
    assert admit({}, None, 4)
    found = admit_version("town", 3, {}, [], [GateException("town", 3, "Ada", "an outage", NOW)])
    assert found.ground == "an exception by Ada: an outage"


@given(st.dictionaries(st.text(max_size=40), st.text(max_size=10), max_size=6))
def test_no_other_tag_makes_up_for_a_verdict(tags: dict[str, str]) -> None:
    assert admit({**tags_of(bias="fail"), **{f"x{key}": value for key, value in tags.items()}})

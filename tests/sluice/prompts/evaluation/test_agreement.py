"""Agreement of two answers by the prompt's own scorers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.prompts.evaluation.agreement import LiveAnswer, find_difference, list_comparable
from sluice.prompts.version import PromptVersion
from support.prompts import VERSION

LABEL = {"name": "label", "type": "label", "expected": ["billing", "delivery"]}
EXACT = {"name": "same", "type": "exact", "threshold": 0.5}
TEXTS = st.text(max_size=40)


def make_version(*criteria: dict[str, Any], **changes: Any) -> PromptVersion:
    return PromptVersion.model_validate({**VERSION, "eval_criteria": list(criteria), **changes})


def compare(version: PromptVersion, champion: str, candidate: str) -> str | None:
    return find_difference(version, "Ada", (), (LiveAnswer(champion), LiveAnswer(candidate)))


@pytest.mark.parametrize(
    ("champion", "candidate", "found"),
    [
        ("billing", "delivery", ""),  # another label of the list is a valid answer
        ("billing", "It is about billing.", "label"),
        ("It is about billing.", "billing", ""),  # better than the champion is no difference
        ("no label", "none either", ""),
        ("billing", "billing ann@example.org", "label"),
    ],
)
def test_an_answer_differs_where_it_breaks_what_the_champions_keeps(
    champion: str, candidate: str, found: str
) -> None:
    assert compare(make_version(LABEL), champion, candidate) == found


def test_a_reference_is_the_champions_answer() -> None:
    version = make_version(LABEL, EXACT)
    assert compare(version, "billing", "delivery") == "same"
    assert compare(version, "billing", " Billing ") == ""


def test_guardrails_count_for_a_version_that_does_not_name_them() -> None:
    short = {"name": "short", "type": "length", "expected": {"max_words": 9}}
    assert compare(make_version(short), "Hello Ada.", "Hello ann@example.org.") == "safety"


def test_nothing_that_needs_a_model_is_asked() -> None:
    heavy = [
        {"name": "alike", "type": "similarity", "threshold": 0.8},
        {"name": "judged", "type": "llm_judge", "threshold": 0.8},
        {"name": "clean", "type": "safety", "expected": ["injection"]},
        {"name": "grounded", "type": "grounding"},
    ]
    version = make_version(*heavy)
    assert list_comparable(version) == ()
    assert compare(version, "one", "two") is None, "not compared, and no agreement"


def test_a_share_counts_by_its_threshold() -> None:
    version = make_version({"name": "grounded", "type": "grounding", "threshold": 0.8})
    assert compare(version, "Ada was there.", "It cost 4,711 dollars.") == "grounded"
    assert compare(version, "It cost 4,711 dollars.", "It cost 4,712 dollars.") == ""


@given(TEXTS)
def test_an_answer_agrees_with_itself(text: str) -> None:
    assert compare(make_version(LABEL, EXACT), text, text) == ""

"""Sensitive columns are suspected and asked for, but never assumed."""

import pytest

from sluice.errors import ChoiceNeeded
from sluice.profile.roles import ask_for_sensitive, read_sensitive, suspect_sensitive
from support.releases.runs import facts_of

COLUMNS = facts_of(
    id=list(range(40)),
    applicantGender=["x", "y"] * 20,
    code=["M", "F"] * 20,
    wage=[1.5, 2.5] * 20,
    age=list(range(40)),
    target=["a", "b"] * 20,
)
TAKEN = {"id", "target"}


def test_names_and_values_raise_suspicion() -> None:
    assert suspect_sensitive(COLUMNS, TAKEN) == {
        "applicantGender": "its name says gender",
        "code": "its values are such as f and m",
        "age": "its name says age",
    }


def test_the_question_names_the_suspects_and_the_flags() -> None:
    question = ask_for_sensitive({"sex": "its name says sex"})
    assert "suspected: sex (its name says sex)" in question
    assert "--sensitive sex, or --sensitive none --reason" in question
    assert "none is suspected" in ask_for_sensitive({})


def test_none_needs_a_reason() -> None:
    with pytest.raises(ChoiceNeeded, match="--sensitive none needs --reason"):
        read_sensitive("none", " ", COLUMNS, TAKEN)
    assert read_sensitive("none", "Rows are machines.", COLUMNS, TAKEN) == ()


def test_columns_named_twice_are_listed_once() -> None:
    assert read_sensitive("code, applicantGender,code", "", COLUMNS, TAKEN) == (
        "code",
        "applicantGender",
    )


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("gender", "no column 'gender'"),
        ("age", "'age' has 40 values, and each is a group; allowed: 2 to 20; add a column with ba"),
        ("id", "is the id or the target"),
        (",", "--sensitive is empty"),
    ],
)
def test_a_column_that_names_no_groups_is_refused(choice: str, words: str) -> None:
    with pytest.raises(ChoiceNeeded, match=words):
        read_sensitive(choice, "", COLUMNS, TAKEN)

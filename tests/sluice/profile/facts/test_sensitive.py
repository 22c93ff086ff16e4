"""Sensitive columns are suspected and asked for, but never assumed."""

import pytest

from sluice.errors import ChoiceNeeded
from sluice.profile.facts.roles import Guess
from sluice.profile.facts.sensitive import (
    ask_for_sensitive,
    find_favourable,
    read_sensitive,
    suspect_harmful,
    suspect_sensitive,
)
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
        "age": "its name says age; 40 values: a column with bands is needed to audit it",
    }


@pytest.mark.parametrize(
    "name",
    ["Geschlecht", "Staatsangehörigkeit", "Schwerbehindert", "Âge", "situation_familiale",
     "género", "estado_civil", "edad", "sesso", "leeftijd", "płeć", "пол",
     "性别", "hispanic"],
)  # fmt: skip
def test_names_in_other_languages_raise_suspicion(name: str) -> None:
    assert list(suspect_sensitive(facts_of(**{name: ["a", "b"] * 20}), set())) == [name]


@pytest.mark.parametrize(
    "values",
    [["männlich", "weiblich"], ["M", "W", "D"], ["Herr", "Frau"], ["Mr", "Mrs", "Ms"], ["H", "F"],
     ["mujer", "hombre"], ["м", "ж"], ["célibataire", "marié"]],
)  # fmt: skip
def test_values_in_other_languages_raise_suspicion(values: list[str]) -> None:
    assert list(suspect_sensitive(facts_of(code=values * 20), set())) == ["code"]


@pytest.mark.parametrize(
    ("name", "values"),
    [("fitness", ["a", "b"]), ("grade", list("ABCDEFHMW")), ("genre", ["rock", "pop"])],
)
def test_honest_columns_raise_none(name: str, values: list[str]) -> None:
    assert suspect_sensitive(facts_of(**{name: values * 20}), set()) == {}


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


@pytest.mark.parametrize(
    "name",
    [
        "female", "is_female", "Gender", "GENDER_CODE", "gndr", "sexe", "applicantSex", "sex2",
        "senior_citizen", "SeniorCitizen", "seniorcitizen", "age", "Age_Years", "ageGroup",
        "religion", "ReligiousAffiliation", "nationality", "citizenship", "ethnicity", "race",
        "MaritalStatus", "marital-status", "married", "disability", "isDisabled", "zip", "ZipCode",
        "postal_code", "foreign_worker", "FOREIGNWORKER", "birth_year", "dob", "pregnant",
    ],
)  # fmt: skip
def test_spellings_of_protected_properties_are_suspected(name: str) -> None:
    columns = facts_of(**{name: ["0", "1"] * 20})
    assert name in suspect_sensitive(columns, set())


@pytest.mark.parametrize(
    "name", ["page", "average", "message", "essex_sales", "wages", "usage", "mandate", "size"]
)
def test_words_that_only_contain_one_are_not(name: str) -> None:
    assert suspect_sensitive(facts_of(**{name: ["0", "1"] * 20}), set()) == {}


def test_the_example_of_the_question_can_be_typed() -> None:
    suspects = suspect_sensitive(COLUMNS, TAKEN)
    question = ask_for_sensitive(suspects, COLUMNS)
    assert "pass --sensitive applicantGender,code, or" in question
    assert "a column with bands is needed" in question


@pytest.mark.parametrize(
    ("name", "values", "harmful"),
    [
        ("churned", ["no", "yes"], {"yes": "the column's name says churned"}),
        ("defaulted", [0, 1], {"1": "the column's name says defaulted"}),
        ("is_fraud", [False, True], {"True": "the column's name says fraud"}),
        ("credit", ["good", "bad"], {"bad": "it says bad"}),
        ("decision", ["approved", "rejected"], {"rejected": "it says rejected"}),
        ("employed", ["no", "yes"], {}),
    ],
)
def test_classes_that_are_probably_harmful_are_shown(
    name: str, values: list[object], harmful: dict[str, str]
) -> None:
    (target,) = facts_of(**{name: values * 20})
    assert suspect_harmful(target) == harmful


def test_the_favourable_class_is_asked_for_and_never_guessed() -> None:
    (target,) = facts_of(churned=["no", "yes"] * 20)
    positive = Guess("yes", "the word for yes")
    with pytest.raises(ChoiceNeeded) as caught:
        find_favourable(target, "binary", "", positive)
    assert "--favourable: a person must decide which class of 'churned'" in str(caught.value)
    assert "yes is probably harmful" in str(caught.value)
    chosen = find_favourable(target, "binary", "NO", positive)
    assert chosen is not None
    assert chosen.value == "no"
    with pytest.raises(ChoiceNeeded, match="'maybe' is no value of 'churned'; allowed: no, yes"):
        find_favourable(target, "binary", "maybe", positive)


def test_several_classes_take_the_positive_one_and_numbers_none() -> None:
    (target,) = facts_of(grade=["a", "b", "c"] * 20)
    assert find_favourable(target, "multiclass", "", Guess("a", "as given")) == Guess(
        "a", "as given"
    )
    (number,) = facts_of(wage=[1.5, 2.5] * 20)
    assert find_favourable(number, "regression", "", None) is None
    with pytest.raises(ChoiceNeeded, match="has no classes"):
        find_favourable(number, "regression", "1.5", None)

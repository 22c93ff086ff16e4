"""The roles of columns are guessed with a reason, and wrong choices are refused with advice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.errors import ChoiceNeeded
from sluice.profile.roles import find_class, find_column, find_id, find_problem, find_time
from support.releases.runs import facts_of

N = 60
COUNTED = list(range(100, 100 + N))
SPREAD = [value * value for value in range(N)]
NAMES = [f"row-{value}" for value in range(N)]
FLAGS = ["yes", "no", "no"] * (N // 3)


def test_a_misspelt_column_is_recognised() -> None:
    with pytest.raises(ChoiceNeeded, match=r"--target: no column 'churnd' \(did you mean 'churned"):
        find_column(facts_of(churned=FLAGS), "churnd", "--target")


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"income": SPREAD, "order_id": SPREAD, "churned": FLAGS}, "order_id"),
        ({"income": SPREAD, "position": COUNTED, "churned": FLAGS}, "position"),
        ({"income": SPREAD, "ticket": NAMES, "churned": FLAGS}, "ticket"),
    ],
)
def test_id_is_the_column_that_names_each_row(columns: dict[str, list[Any]], found: str) -> None:
    assert find_id(facts_of(**columns), "churned").value == found


def test_a_measurement_is_no_id_only_because_it_is_unique() -> None:
    columns = facts_of(income=SPREAD, customer_id=[1, 2] * (N // 2), churned=FLAGS)
    with pytest.raises(ChoiceNeeded) as caught:
        find_id(columns, "churned")
    assert "'income' comes close but looks like a measurement" in str(caught.value)
    assert "--id" in str(caught.value)
    assert "index_label='row_id'" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2] * (N // 2), "has 2 different values in 60 rows.*split.group: key afterwards"),
        ([None, *COUNTED[1:]], "is null in 1 rows"),
        ([value / 2 for value in COUNTED], "is number; allowed: integer or text"),
    ],
)
def test_a_chosen_id_that_is_none_is_refused(values: list[Any], words: str) -> None:
    with pytest.raises(ChoiceNeeded, match=words):
        find_id(facts_of(key=values, churned=FLAGS), "churned", "key")


def test_time_is_a_column_of_dates_or_years() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(days=day) for day in range(N)]
    assert find_time(facts_of(size=SPREAD, seen=moments), set()).value == "seen"
    assert find_time(facts_of(size=SPREAD, survey_year=[2020, 2021] * 30), set()).value
    assert find_time(facts_of(size=SPREAD, yearly_cost=[20, 30] * 30), set()).value == ""


def test_a_time_that_cannot_order_is_refused() -> None:
    with pytest.raises(ChoiceNeeded, match="'colour' is text; allowed: a timestamp"):
        find_time(facts_of(colour=FLAGS), set(), "colour")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (FLAGS, "binary"),
        ([0, 1] * 30, "binary"),
        ([0.0, 1.0] * 30, "binary"),
        ([True, False] * 30, "binary"),
        (["a", "b", "c"] * 20, "multiclass"),
        ([1, 2, 3] * 20, "multiclass"),
        (COUNTED, "regression"),
        ([value / 7 for value in SPREAD], "regression"),
    ],
)
def test_problem_follows_from_the_target(values: list[Any], problem: str) -> None:
    assert find_problem(facts_of(target=values)[0]).value == problem


@pytest.mark.parametrize(
    ("values", "choice", "words"),
    [
        ([1] * N, "", "has one value only in 60 rows"),
        ([None, *FLAGS[1:]], "", "is null in 1 of 60 rows"),
        (NAMES, "", "neither classes .* nor numbers"),
        (FLAGS, "regression", "--kind: 'regression' does not fit 'target'.*allowed: binary"),
    ],
)
def test_a_target_that_cannot_be_predicted_is_refused(
    values: list[Any], choice: str, words: str
) -> None:
    with pytest.raises(ChoiceNeeded, match=words):
        find_problem(facts_of(target=values)[0], choice)


def test_an_integer_of_few_values_can_be_a_regression_by_choice() -> None:
    assert find_problem(facts_of(stars=[1, 2, 3] * 20)[0], "regression").value == "regression"


@pytest.mark.parametrize(
    ("values", "choice", "positive"),
    [
        (FLAGS, "", "yes"),
        ([0, 1] * 30, "", 1),
        (["good", "good", "bad"] * 20, "", "bad"),
        ([1, 2, 2] * 20, "2", 2),
        (["left", "right", "right"] * 20, "", "left"),
        ([True, False] * 30, "", True),
    ],
)
def test_positive_is_the_word_for_yes_or_the_rarer_class(
    values: list[Any], choice: str, positive: Any
) -> None:
    assert find_class(facts_of(target=values)[0], choice).value == positive


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ChoiceNeeded, match="'maybe' is no value of 'target'; allowed: no, yes"):
        find_class(facts_of(target=FLAGS)[0], "maybe")

"""The roles of columns are guessed with a reason, and wrong choices are refused with advice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.errors import ChoiceNeeded
from sluice.profile.facts.roles import (
    find_class,
    find_column,
    find_group,
    find_id,
    find_problem,
    find_time,
    numbers_rows,
)
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
        ([1, 2] * (N // 2), "has 2 different values in 60 rows.*pass --group key"),
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


def test_counts_with_rare_values_are_numbers() -> None:
    found = find_problem(facts_of(visits=[0, 1, 2] * 19 + [3] * 3)[0])
    assert found.value == "regression"
    assert "too few rows of some for classes: 3" in found.reason
    assert find_problem(facts_of(visits=[0, 1, 2] * 20)[0]).reason.endswith("--kind regression")


def test_a_date_of_birth_in_another_language_is_no_time() -> None:
    columns = facts_of(Geburtsdatum=DAYS, Entlassung=DAYS, Aufnahme=DAYS)
    assert find_time(columns, set()).value == "Aufnahme"


def test_an_integer_of_few_values_can_be_a_regression_by_choice() -> None:
    assert find_problem(facts_of(stars=[1, 2, 3] * 20)[0], "regression").value == "regression"


@pytest.mark.parametrize(
    ("values", "choice", "positive"),
    [
        (FLAGS, "", "yes"),
        ([0, 1] * 30, "", 1),
        (["good", "good", "bad"] * 20, "", "bad"),
        ([1, 2, 2] * 20, "2", 2),
        ([1, 1, 2] * 20, "", 2),
        (["1", "1", "2"] * 20, "", "2"),
        (["left", "right", "right"] * 20, "", "left"),
        ([True, False] * 30, "", True),
        (["ja", "ja", "nein"] * 20, "", "ja"),
        (["s\u00ed", "s\u00ed", "no"] * 20, "", "s\u00ed"),
        (["\u0414\u0430", "\u0414\u0430", "\u041d\u0435\u0442"] * 20, "", "\u0414\u0430"),
    ],
)
def test_positive_is_the_word_for_yes_or_the_rarer_class(
    values: list[Any], choice: str, positive: Any
) -> None:
    assert find_class(facts_of(target=values)[0], choice).value == positive


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ChoiceNeeded, match="'maybe' is no value of 'target'; allowed: no, yes"):
        find_class(facts_of(target=FLAGS)[0], "maybe")


START = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = [START + timedelta(days=day) for day in range(N)]
DAYS = [moment.date().isoformat() for moment in MOMENTS]


def test_two_columns_that_may_be_the_id_are_asked_about() -> None:
    columns = facts_of(order_id=COUNTED, invoice_no=SPREAD, churned=FLAGS)
    with pytest.raises(ChoiceNeeded) as caught:
        find_id(columns, "churned")
    said = str(caught.value)
    assert said.startswith("--id: 2 columns may name each row: order_id (named like an id")
    assert "invoice_no" in said
    assert "pass --id order_id, or another" in said
    assert find_id(columns, "churned", "invoice_no").value == "invoice_no"


def test_the_rows_own_id_needs_no_question() -> None:
    columns = facts_of(invoice_no=SPREAD, id=COUNTED, churned=FLAGS)
    assert find_id(columns, "churned").value == "id"


@pytest.mark.parametrize(
    "name", ["birth_date", "dateOfBirth", "dob", "born", "date_built", "BirthDate"]
)
def test_dates_of_birth_or_construction_are_no_time(name: str) -> None:
    columns = facts_of(**{name: MOMENTS}, size=SPREAD)
    assert find_time(columns, set()).value == ""
    both = facts_of(**{name: MOMENTS}, seen=DAYS)
    assert find_time(both, set()).value == "seen"


@pytest.mark.parametrize("name", ["birth_year", "yearBuilt", "year_renovated", "model_year"])
def test_years_that_describe_a_thing_are_no_time(name: str) -> None:
    columns = facts_of(**{name: [1950 + row for row in range(N)]}, size=SPREAD)
    assert find_time(columns, set()).value == ""


def test_two_times_are_asked_about_with_the_option_and_none() -> None:
    columns = facts_of(ordered=MOMENTS, shipped=DAYS, size=SPREAD)
    with pytest.raises(ChoiceNeeded) as caught:
        find_time(columns, set())
    said = str(caught.value)
    assert said.startswith("--time: 2 columns may say when a row happened: ordered (holds dates")
    assert "pass --time ordered, another, or none" in said
    assert find_time(columns, set(), "shipped").value == "shipped"
    assert find_time(columns, set(), "none").value == ""


def test_a_date_named_like_a_later_event_is_less_likely_and_said() -> None:
    found = find_time(facts_of(opened=MOMENTS, updated_at=DAYS), set())
    assert found.value == "opened"
    assert "updated_at: named like a later event" in found.reason
    assert find_time(facts_of(updated_at=DAYS, size=SPREAD), set()).value == "updated_at"


CUSTOMERS = [row % 40 for row in range(N)]


def test_a_repeating_id_is_suggested_as_group() -> None:
    columns = facts_of(row_id=COUNTED, customer_id=CUSTOMERS, churned=FLAGS)
    found = find_group(columns, {"row_id", "churned"})
    assert found is not None
    assert found.value == "customer_id"
    assert "1.5 rows a value" in found.reason
    assert find_group(columns, {"row_id", "churned"}, "none") is None


def test_two_groups_are_asked_about() -> None:
    columns = facts_of(customer_id=CUSTOMERS, device_uuid=[f"d{row}" for row in CUSTOMERS])
    with pytest.raises(ChoiceNeeded, match="--group: 2 columns may name what rows belong to"):
        find_group(columns, set())
    chosen = find_group(columns, set(), "device_uuid")
    assert chosen is not None
    assert chosen.value == "device_uuid"


@pytest.mark.parametrize(
    "columns",
    [
        {"department_id": [row % 8 for row in range(N)]},  # a code of a few categories
        {"number_of_rooms": CUSTOMERS},  # a count
        {"customer_id": [None, *CUSTOMERS[1:]]},
        {"customer_id": COUNTED},
    ],
)
def test_what_is_no_group_is_not_suggested(columns: dict[str, list[Any]]) -> None:
    assert find_group(facts_of(**columns), set()) is None


def test_a_chosen_group_that_cannot_be_one_is_refused() -> None:
    columns = facts_of(customer_id=[None, *CUSTOMERS[1:]], size=SPREAD)
    with pytest.raises(ChoiceNeeded, match="--group: 'customer_id' has 40 values and 1 nulls"):
        find_group(columns, set(), "customer_id")
    with pytest.raises(ChoiceNeeded, match="--group: no column 'custom_id'"):
        find_group(columns, set(), "custom_id")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (COUNTED, True),
        ([value for value in range(100) if value % 3], True),
        (SPREAD, False),
        ([float(value) for value in COUNTED], False),
        ([*COUNTED[:-1], COUNTED[0]], False),
    ],
    ids=["each number", "two of three numbers", "few of the numbers", "no whole numbers", "twice"],
)
def test_a_column_that_numbers_rows_may_have_gaps(values: list[Any], found: bool) -> None:
    assert numbers_rows(facts_of(x=values)[0]) is found

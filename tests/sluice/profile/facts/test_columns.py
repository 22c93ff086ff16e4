"""A column has the kind that all its cells fit, and its facts are counted over every row."""

import pyarrow as pa
import pytest

from sluice.errors import DataInvalid
from sluice.profile.facts.columns import describe_column, kind_of_type, split_words


def test_an_unsupported_type_is_refused() -> None:
    column = pa.chunked_array([pa.array([[1, 2], [3]])])
    with pytest.raises(DataInvalid, match=r"a\.parquet: column 'many': found list.*allowed: inte"):
        kind_of_type(column, "many", "a.parquet")


def test_facts_are_counted() -> None:
    cells = pa.chunked_array([pa.array(["3", "1", None, "3"])])
    column, facts = describe_column("size", cells, "integer", "whole", "a.csv")
    assert column.to_pylist() == [3, 1, None, 3]
    assert (facts.rows, facts.nulls, facts.distinct, facts.low, facts.high) == (4, 1, 2, 1, 3)
    assert (facts.levels, facts.counts) == ((1, 3), (1, 2))
    assert not facts.unique
    assert not facts.constant


def test_a_column_with_one_value_is_constant_and_dates_are_seen() -> None:
    once = describe_column("a", pa.chunked_array([["x", "x"]]), "text", "", "a.csv")[1]
    dates = describe_column(
        "a", pa.chunked_array([["2026-01-31", "2026-02-01 10:00"]]), "text", "", "a.csv"
    )[1]
    assert once.constant
    assert dates.dated


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("customer_id", ["customer", "id"]),
        ("HomeOwner", ["home", "owner"]),
        ("page", ["page"]),
        ("customerid", ["customer", "id"]),
        ("Kundennummer", ["kunden", "nummer"]),
        ("paid", ["paid"]),
        ("Nationalité", ["nationalite"]),
        ("Âge (ans)", ["age", "ans"]),
        (
            "возраст",
            ["возраст"],
        ),
    ],
)
def test_names_are_split_into_words(name: str, words: list[str]) -> None:
    assert split_words(name) == words

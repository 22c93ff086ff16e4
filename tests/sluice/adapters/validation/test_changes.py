"""The words that change a rule let everything pass that was found, and show no single cell."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.adapters.validation.changes import write_change

SET, RANGE = "expect_column_values_to_be_in_set", "expect_column_values_to_be_between"
NUMBERS = st.floats(-1e12, 1e12, allow_nan=False, allow_subnormal=False)


def words_of(kind: str, found: list[Any], **arguments: Any) -> str:
    return write_change(7, kind, arguments, "broken", {"unexpected_list": found})


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_the_new_range_holds_every_value(values: list[float]) -> None:
    outside = [value for value in values if not 0.0 <= value <= 1.0] or [2.0]
    _, _, low, high = words_of(RANGE, outside, min_value=0.0, max_value=1.0).split()
    assert all(float(low) <= value <= float(high) for value in outside)
    assert float(low) <= 0.0
    assert float(high) >= 1.0


def test_a_bound_is_rounded_and_an_open_side_stays_open() -> None:
    assert words_of(RANGE, [11_559.0], min_value=0.0, max_value=26.0) == "edit 7 0 12000"
    assert words_of(RANGE, [-0.123], min_value=0.0, max_value=None) == "edit 7 -0.13 -"


def test_values_of_several_rows_are_named() -> None:
    assert words_of(SET, ["new", "two words", "new", "two words"]) == "edit 7 + new 'two words'"


def test_a_value_of_one_row_is_not() -> None:
    assert words_of(SET, ["Ada Lovelace"]) == "edit 7 + VALUE"
    assert words_of(SET, ["new", "new", "Ada"]) == "edit 7 + new VALUE"


def test_a_value_that_cannot_be_typed_is_not() -> None:
    for value in ("x" * 200_000, "two\nlines", "a\0b"):
        assert words_of(SET, [value, value]) == "edit 7 + VALUE"


def test_a_rule_without_values_or_with_an_error_can_be_removed() -> None:
    assert write_change(3, "expect_column_values_to_be_unique", {}, "broken", {}) == "remove 3"
    assert write_change(3, RANGE, {}, "errored", {}) == "remove 3"

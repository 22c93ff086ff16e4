"""Numbers as people write them become plain ones, and what is none is never taken for one."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.config.reading import NULL_WORDS, ColumnReading
from sluice.data.numbers import drop_null_words, write_plainly


def plain(text: str, decimal: str = ".", **form: str) -> str | None:
    cells = pa.chunked_array([[text]])
    found = write_plainly(cells, decimal, ColumnReading.model_validate(form))
    return str(found[0].as_py())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,234.50", 1234.5), ("1,234,567", 1234567.0), ("-$3", -3.0), ("$-3", -3.0),
        ("($5.25)", -5.25), ("\u22124", -4.0), ("12", 12.0), ("$ 7", 7.0), ("$.5", 0.5),
        ("1,00,000", 100000.0),
    ],
)  # fmt: skip
def test_amounts_are_read(text: str, number: float) -> None:
    assert float(plain(text, thousands=",", prefix="$") or "") == number


@pytest.mark.parametrize(
    "text", ["1,23", "0,126", "$", "", "1,234,5", "12$", "\u20ac5", "1.2.3", "5%"]
)
def test_what_is_no_amount_of_the_form_is_left_unreadable(text: str) -> None:
    assert plain(text, thousands=",", prefix="$") == f"?{text}"


def test_a_sign_behind_has_to_be_there() -> None:
    assert [plain(text, suffix="%") for text in ("45%", "-1.5 %", "0.45")] == [
        "45",
        "-1.5",
        "?0.45",
    ]


@given(
    number=st.floats(-1e12, 1e12).map(lambda value: round(value, 3)),
    signs=st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'")]),
    prefix=st.sampled_from(["", "$", "EUR"]),
    suffix=st.sampled_from(["", "%"]),
)
def test_a_number_is_read_as_the_one_that_was_written(
    number: float, signs: tuple[str, str], prefix: str, suffix: str
) -> None:
    decimal, thousands = signs
    shown = f"{abs(number):,.3f}".replace(",", "T").replace(".", decimal).replace("T", thousands)
    text = f"{'-' if number < 0 else ''}{prefix}{shown}{suffix}"
    found = plain(text, decimal, thousands=thousands, prefix=prefix, suffix=suffix)
    assert float(found or "") == number


def test_null_words_count_in_any_case_and_with_spaces() -> None:
    cells = pa.chunked_array([["NA", " n/a ", "", "\\N", "null", "nan", "NAM", "0", None]])
    found = drop_null_words(cells, NULL_WORDS).to_pylist()
    assert found == [None] * 6 + ["NAM", "0", None]

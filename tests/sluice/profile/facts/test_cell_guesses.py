"""A column of text has the kind that its cells fit; honest text stays text, and losses are told."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from sluice.config.reading import ReadingConfig
from sluice.data.times import read_times
from sluice.errors import ChoiceNeeded
from sluice.profile.facts.cells import CellGuess, GuessOptions, guess_cells, guess_decimal

PLAIN = GuessOptions()


def guess(cells: list[str | None], options: GuessOptions = PLAIN, decimal: str = ".") -> CellGuess:
    reading = ReadingConfig.model_validate({"decimal": decimal, "zone": options.zone})
    return guess_cells("x", pa.chunked_array([pa.array(cells, pa.string())]), reading, options)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", " 3 ", None], "integer"),
        (["1", "2.5", "1e3"], "number"),
        (["0.5", "0"], "number"),
        (["", "1", "2"], "integer"),
        (["NA", "1.5", "n/a", "\\N", "."], "number"),
        (["-", "--", "7", "none", "8"], "integer"),
        (["$1,234.50", "$2"], "number"),
        (["45%", "-1.5%"], "number"),
        (["1,234", "12,345,678", "5"], "integer"),
        (["1 234", "5", "12 345"], "integer"),
        (["5 EUR", "1 EUR"], "number"),
        (["true", "FALSE", None, "NA"], "boolean"),
        (["2026-01-31T10:00:00Z", None], "timestamp"),
        (["2026-01-31", "2026-02-01"], "timestamp"),
        (["2026-01-31 10:00", "NA", "2026-02-01"], "timestamp"),
        (["31.01.2026", "01.02.2026"], "timestamp"),
        (["01/31/2026 10:00", "02/01/2026 11:00"], "timestamp"),
        (["3 Feb 2026", "13 Mar 2026"], "timestamp"),
        ([None, None], "text"),
    ],
)
def test_kind_is_what_every_cell_fits(cells: list[str | None], kind: str) -> None:
    assert guess(cells).kind == kind


@pytest.mark.parametrize(
    "cells",
    [
        ["NA", "DE", "FR"],  # the code of Namibia
        ["NA", "NA", "NA"],
        ["007", "012", "123"],
        ["007", "NA", "012"],
        ["00123", "missing", "00124"],
        ["0123", "none", "-"],
        ["A12", "B13"],
        ["12 kg", "3 kg"],
        ["$5", "\u20ac6"],
        ["45%", "0.45"],
        ["10.0.0.1", "10.0.0.2"],
        ["555-1234", "555-9876"],
        ["12345678901234560000", "12345678901234560001"],
        ["1.2.3", "1.2.4"],
        ["red", "2"],
        ["true", "false", "unknown"],
        ["unknown", "none", "-"],
    ],
)
def test_honest_text_stays_text(cells: list[str | None]) -> None:
    assert guess(cells).kind == "text"
    assert not guess(cells).nulls


def test_what_was_read_as_null_or_as_a_number_is_said() -> None:
    found = guess(["NA", "$1,234.50", "NA", "$3"])
    assert found.note == "'$1,234.50' is read as 1234.50, 2 cells such as 'NA' are null"
    assert found.reason.endswith(found.note)
    assert (found.nulls, found.loud) == (("NA",), False)
    assert (found.form.prefix, found.form.thousands) == ("$", ",")


def test_numbers_that_stay_text_are_said_loudly_with_their_count() -> None:
    found = guess(["1.5"] * 8 + ["n. b.", "tall"])
    assert (found.kind, found.loud) == ("text", True)
    assert "2 of 10 cells are no numbers, such as 'n. b.': kept as text" in found.note


def test_a_few_numbers_among_words_for_null_are_no_column_of_numbers() -> None:
    found = guess(["unknown"] * 99 + ["5"])
    assert (found.kind, found.loud) == ("text", True)


def test_rows_that_will_be_refused_are_said_loudly() -> None:
    found = guess(["2026-01-31"] * 30 + ["unknown"])
    assert (found.kind, found.loud) == ("timestamp", True)
    assert "1 cells are no time, such as 'unknown': their rows are refused" in found.note
    both = guess(["2026-01-31"] * 30 + ["NA", "unknown"])
    assert (both.nulls, both.loud) == (("NA",), True)
    mixed = guess(["2026-01-31"] * 6 + ["31.01.2026"] * 4)
    assert (mixed.kind, mixed.loud) == ("text", True)


FIRST = date(2024, 1, 1)
DAYS = [FIRST + timedelta(days=3 * step) for step in range(250)]


@pytest.mark.parametrize(
    "form",
    ["%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%y", "%d-%b-%y", "%d %b %y", "%d. %b %Y",
     "%Y.%m.%d", "%b %d %Y", "%m/%d/%y %H:%M", "%Y%m%d", "%Y%m%dT%H%M%S"],
)  # fmt: skip
def test_dates_as_spreadsheets_write_them_are_times(form: str) -> None:
    cells: list[str | None] = [day.strftime(form) for day in DAYS]
    found = guess(cells)
    assert (found.kind, found.form.time) == ("timestamp", form)
    read = read_times(pa.chunked_array([pa.array(cells, pa.string())]), form, "UTC").moments
    assert [moment.date() for moment in read.to_pylist()] == DAYS
    assert ("69 to 99 are years of 1900" in found.note) == ("%y" in form)


@pytest.mark.parametrize("form", ["%y/%m/%d", "%y-%m-%d", "%y.%m.%d"])
def test_short_dates_whose_year_may_stand_first_stay_text_and_are_told(form: str) -> None:
    found = guess([day.strftime(form) for day in DAYS])
    assert (found.kind, found.loud) == ("text", True)
    assert "may have the year first or last" in found.note


def test_years_that_can_be_no_day_stand_last() -> None:
    found = guess([day.replace(year=1940 + step % 60).strftime("%d.%m.%y")
                   for step, day in enumerate(DAYS) if day.day < 29])  # fmt: skip
    assert (found.kind, found.form.time) == ("timestamp", "%d.%m.%y")


def test_numbers_of_eight_digits_are_days_only_where_all_are() -> None:
    days: list[str | None] = [day.strftime("%Y%m%d") for day in DAYS]
    reading, cells = ReadingConfig(), pa.chunked_array([pa.array(days)])
    assert guess_cells("order_id", cells, reading, PLAIN).kind == "integer", "ids, each once"
    assert guess([*days, "20261301"]).kind == "integer"
    assert guess([*days, "20260231"]).kind == "integer"
    assert guess(days[:5]).kind == "integer"


def test_infinite_numbers_are_null_and_larger_ones_are_told() -> None:
    found = guess(["inf", "-Infinity", "1.5", "2"])
    assert (found.kind, found.nulls) == ("number", ("inf", "-Infinity"))
    assert "2 cells such as 'inf' are null" in found.note
    large = guess(["1.5", "2"] * 9 + ["1e400"])
    assert (large.kind, large.loud) == ("text", True)
    assert "1 of 19 cells are no numbers, such as '1e400'" in large.note


def test_what_to_do_about_times_of_several_forms_is_said() -> None:
    found = guess(["2026-01-31"] * 6 + ["31.01.2026"] * 4)
    assert "such as '31.01.2026': kept as text; write all in one form" in found.note


def test_two_likely_orders_of_day_and_month_are_asked() -> None:
    cells: list[str | None] = ["01/02/2026", "03/04/2026"]
    with pytest.raises(ChoiceNeeded, match="--dates day-first or --dates month-first"):
        guess(cells)
    assert guess(cells, GuessOptions(dates="day-first")).form.time == "%d/%m/%Y"
    assert guess(cells, GuessOptions(dates="month-first")).form.time == "%m/%d/%Y"
    assert guess([*cells, "31/01/2026"]).form.time == "%d/%m/%Y"
    assert guess([*cells, "01/31/2026"]).form.time == "%m/%d/%Y"


@pytest.mark.parametrize(
    ("cells", "delimiter", "sign"),
    [
        (["1.5", "2.25"], ",", "."),
        (["1,5", "2,25"], ";", ","),
        (["1,5", "2,25"], ",", ","),
        (["1.234,5", "2,25"], ";", ","),
        (["1,234.5", "2.25"], ",", "."),
        (["1.234", "0.126"], ";", "."),
        (["1,234,567", "2,000"], ",", "."),
        (["1.234", "2.500"], ",", "."),
        (["7", "8"], ";", "."),
    ],
)
def test_the_decimal_sign_is_seen(cells: list[str], delimiter: str, sign: str) -> None:
    table = pa.table({"x": cells})
    assert guess_decimal(table, ReadingConfig(delimiter=delimiter), PLAIN) == sign


GROUPS = [f"{n // 1000}.{n % 1000:03d}" if n > 999 else str(n) for n in range(400, 9000, 97)]


@pytest.mark.parametrize("sign", [".", ","])
@pytest.mark.parametrize("suffix", ["", " EUR"])
def test_thousands_beside_small_whole_numbers_are_asked_about(sign: str, suffix: str) -> None:
    cells = [cell.replace(".", sign) + suffix for cell in GROUPS]
    score = ["0.5", "0.25"] if sign == "." else ["0,5", "0,25"]
    table = pa.table({"income": cells, "score": (score * len(cells))[: len(cells)]})
    reading = ReadingConfig(delimiter=";")
    with pytest.raises(ChoiceNeeded, match=r"in column 'income'.*without thousands signs"):
        guess_decimal(table, reading, PLAIN)
    with pytest.raises(ChoiceNeeded, match=r"in column 'income'.*--decimal"):
        guess_decimal(table.select(["income"]), reading, PLAIN)
    assert guess_decimal(table, reading, GuessOptions(decimal=sign)) == sign


@pytest.mark.parametrize(("sign", "decimal"), [(".", ","), (",", ".")])
def test_a_number_of_millions_shows_the_thousands_sign(sign: str, decimal: str) -> None:
    cells = [cell.replace(".", sign) for cell in [*GROUPS, "1.234.567"]]
    assert guess_decimal(pa.table({"x": cells}), ReadingConfig(), PLAIN) == decimal


def test_fractions_are_no_thousands() -> None:
    trimmed = [str(n / 1000) for n in range(1200, 9000, 7)]
    fixed = [f"{n / 1000:.3f}" for n in range(1200, 9000, 7)]
    for cells in (trimmed, fixed, [*trimmed, "3"]):
        assert guess_decimal(pa.table({"x": cells}), ReadingConfig(), PLAIN) == "."


def test_a_number_that_can_be_read_in_two_ways_is_asked() -> None:
    table = pa.table({"x": ["1,234", "2,500"]})
    with pytest.raises(ChoiceNeeded, match=r"'1,234' in column 'x'.*--decimal"):
        guess_decimal(table, ReadingConfig(), PLAIN)
    assert guess_decimal(table, ReadingConfig(), GuessOptions(decimal=",")) == ","
    told = table.append_column("y", pa.chunked_array([["0.5", "1.25"]]))
    assert guess_decimal(told, ReadingConfig(), PLAIN) == "."

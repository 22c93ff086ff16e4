"""Guesses of what a column of text cells holds, and how its numbers and times are written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import ColumnKind
from sluice.config.reading import ISO, PLAIN, ColumnReading, ReadingConfig
from sluice.data.numbers import drop_null_words, write_plainly
from sluice.data.times import read_times
from sluice.errors import ChoiceNeeded
from sluice.profile.facts.columns import ID_WORDS, split_words

INFINITE = ("inf", "-inf", "+inf", "infinity", "-infinity", "+infinity")
LIKELY_WORDS = (
    ".", "?", "-", "--", "none", "missing", "unknown", "n.a.", "nil", "(null)", "<na>", "#value!",
    "#div/0!", "#ref!", *INFINITE,
)  # fmt: skip
"""Words that stand for an absent value where all other cells are numbers.

An infinite number most often comes from a division by zero; no model can learn from it.
"""
CURRENCIES = (
    "$", "\u20ac", "\u00a3", "\u00a5", "\u20b9", "\u20a9", "US$", "USD", "EUR", "GBP", "JPY", "CHF",
    "CAD", "AUD", "INR", "CNY", "SEK", "NOK", "DKK", "PLN", "BRL",
)  # fmt: skip
PERCENT = "%"
HEAD = 2_000
"""Cells by which a form is chosen, before it is tried on all of them."""
LEAST_SHARE = 0.05
"""Share of numbers from which a column with words for null among them is one of numbers."""
MOST_TIMES = 0.9
"""Share of times from which a column is one of times: the rows of other cells are refused."""
SEVERAL = 0.5
"""Share of numbers or times from which the others are worth a word."""
DIGITS = r"\d"
WITH_ZEROS = "digits with leading zeros, which a number would lose"
TOO_LONG = "digits that are more than a number can hold: names, not amounts"
LEADING_ZERO = r"^[-+]?0\d+$"
WHOLE = r"^[-+]?\d{16,}$"
FRONT = r"^[(+\-\x{2212}]*\s*(?P<sign>[^\d\s.,+()\-\x{2212}']+)\s*[+\-\x{2212}]?[\d.,]"
BACK = r"[\d.,]\s*(?P<sign>[^\d\s.,()']+)\)?$"
DATES = (
    "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y",
    "%b %d, %Y", "%Y.%m.%d", "%b %d %Y", "%d. %b %Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
    "%d-%m-%y", "%m-%d-%y", "%d-%b-%y", "%d %b %y",
)  # fmt: skip
SHORT_YEAR = r"^(?P<first>\d{1,2})[./-]\d{1,2}[./-](?P<last>\d{2})(?:\D|$)"
"""A date of three short numbers; its year may be the first or the last."""
MOST_DAYS = 31
COMPACT = "%Y%m%dT%H%M%S"
DAYS_OF_DIGITS = "%Y%m%d"
DAY_PATTERN = r"^(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"
LEAST_GROUPED = 50
"""Cells with three digits behind their sign, or none, that are most often thousands."""
LEAST_DAYS = 20
"""Cells of eight digits that are all days of a calendar, which chance does not make."""
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")
Dates = Literal["", "day-first", "month-first"]


@dataclass(frozen=True)
class GuessOptions:
    """How a person says that a file is written; an option that is empty is guessed."""

    delimiter: str = ""
    encoding: str = ""
    decimal: str = ""
    zone: str = "UTC"
    dates: Dates = ""


@dataclass(frozen=True)
class CellGuess:
    """A column's kind with the reason, and how its cells are written.

    `nulls` are the words found that stand for an absent value. `note` is what a person must know;
    it is loud where values are lost.
    """

    kind: ColumnKind
    reason: str
    form: ColumnReading = PLAIN
    nulls: tuple[str, ...] = ()
    note: str = ""
    loud: bool = False


@dataclass(frozen=True, eq=False)
class _Cells:
    """One column's cells that are not empty, with and without the words for null."""

    name: str
    present: pa.ChunkedArray
    sure: pa.ChunkedArray
    """Without the words that always mean null."""
    rest: pa.ChunkedArray
    """Without the likely ones too."""
    reading: ReadingConfig
    options: GuessOptions = field(default_factory=GuessOptions)

    def list_words(self, kept: pa.ChunkedArray) -> tuple[tuple[str, ...], int]:
        """Return the words that are in `present` and not among the kept cells, and their cells."""
        count = len(self.present) - len(kept)
        if not count:
            return (), 0
        likely = LIKELY_WORDS if len(kept) < len(self.sure) else ()
        words = (*self.reading.nulls, *likely)
        lower = pa.array(sorted({word.lower() for word in words}), pa.string())
        found = self.present.filter(pc.is_in(pc.utf8_lower(self.present), lower))
        return tuple(pc.unique(found).to_pylist()[: len(words)]), count


def guess_cells(
    name: str, cells: pa.ChunkedArray, reading: ReadingConfig, options: GuessOptions
) -> CellGuess:
    """Return the kind that a column's text cells fit, and how they are written.

    Words for null count as null only among numbers, times and booleans. A column stays text where
    digits have leading zeros or are more than a number can hold.

    Raises:
        ChoiceNeeded: its dates can be read with the day first or the month first.
    """
    present = pc.drop_null(drop_null_words(cells, ()))
    if len(present) == 0:
        return CellGuess("text", "every cell is empty")
    if _holds_days(name, present):
        column = _Cells(name, present, present, present, reading, options)
        days = CellGuess(
            "timestamp", "days of eight digits throughout", ColumnReading(time=DAYS_OF_DIGITS)
        )
        return _add_times(column, days, 0, DAYS_OF_DIGITS)
    if reading.decimal == "." and (quick := _guess_plain(present)):
        return quick
    sure = pc.drop_null(drop_null_words(present, reading.nulls))
    rest = pc.drop_null(drop_null_words(sure, LIKELY_WORDS))
    column = _Cells(name, present, sure, rest, reading, options)
    if len(sure) and pc.all(pc.is_in(pc.utf8_lower(sure), pa.array(["true", "false"]))).as_py():
        return _tell(column, sure, "boolean", "`true` and `false` throughout")
    if not len(rest) or not _has_digits(rest):
        return CellGuess("text", "words")
    return _guess_number(column) or _guess_time(column) or CellGuess("text", "words")


def _guess_plain(present: pa.ChunkedArray) -> CellGuess | None:
    """Return the guess for cells that all are plain numbers, which most columns are; else None."""
    is_whole = _can_cast(present, pa.int64())
    if not is_whole:
        try:
            numbers = present.cast(pa.float64())
        except pa.ArrowInvalid:
            return None
        if not pc.all(pc.is_finite(numbers)).as_py():
            return None
        if pc.any(pc.match_substring_regex(present, WHOLE)).as_py():
            return CellGuess("text", TOO_LONG)
    if pc.any(pc.match_substring_regex(present, LEADING_ZERO)).as_py():
        return CellGuess("text", WITH_ZEROS)
    if is_whole:
        return CellGuess("integer", "whole numbers throughout")
    return CellGuess("number", "numbers throughout")


def _holds_days(name: str, present: pa.ChunkedArray) -> bool:
    """Return whether all cells are days such as 20260131, and no ids that look like them."""
    if len(present) < LEAST_DAYS:
        return False
    for cells in (present.slice(0, HEAD), present):
        if not pc.all(pc.match_substring_regex(cells, DAY_PATTERN)).as_py():
            return False
    if pc.any(read_times(present, DAYS_OF_DIGITS, "UTC").bad).as_py():
        return False
    unique = pc.count_distinct(present).as_py() == len(present)
    return not (unique and ID_WORDS & set(split_words(name)))


def guess_decimal(table: pa.Table, reading: ReadingConfig, options: GuessOptions) -> str:
    """Return the sign before fractions that the file's numbers show, or the option's.

    Raises:
        ChoiceNeeded: numbers such as 1,234 can be read in two ways, and no other number tells.
    """
    if options.decimal:
        return options.decimal
    points, commas, unclear = 0, 0, ""
    grouped: dict[str, str] = {}
    for name in table.column_names:
        cells = pc.drop_null(table[name].slice(0, HEAD))
        rest = pc.drop_null(drop_null_words(cells, (*reading.nulls, *LIKELY_WORDS)))
        if not len(rest) or not _has_digits(rest):
            continue
        if not pc.any(pc.match_substring_regex(rest, "[.,]")).as_py():
            continue
        twice = _find_grouped_twice(rest)
        if not twice and (sign := _find_groups(rest)):
            grouped.setdefault(sign, f"'{_show_grouped(rest, sign)}' in column '{name}'")
            continue
        if _is_plain(rest, reading.delimiter):
            points += 1
            continue
        point, comma = (_share(rest, sign) > SEVERAL for sign in ".,")
        if point and comma and not twice:
            unclear = unclear or f"'{rest[0].as_py()}' in column '{name}'"
        point, comma = point and twice != ".", comma and twice != ","
        points, commas = points + (point and not comma), commas + (comma and not point)
    decimal = "," if commas > points else "."
    if not points and not commas:
        unclear = unclear or next(iter(grouped.values()), "")
        _refuse_unclear(unclear, "")
    else:
        _refuse_unclear(grouped.get(decimal, ""), "; or write that column without thousands signs")
    return decimal


def _refuse_unclear(example: str, more: str) -> None:
    if example:
        raise ChoiceNeeded(
            f"numbers such as {example} can be read in two ways, as thousands or as a fraction: "
            f"name the decimal sign with --decimal . or --decimal ,{more}"
        )


def _find_groups(rest: pa.ChunkedArray) -> str:
    """Return the sign that has three digits behind it in each cell, where some have no sign.

    Numbers with a fraction rarely look so: some of them have fewer digits, or all have as many.
    """
    for sign in ".,":
        pattern = rf"^[^\d.,]*[1-9]\d{{0,2}}([{sign}]\d{{3}})+[^\d.,]*$"
        marked = pc.sum(pc.match_substring_regex(rest, pattern)).as_py() or 0
        if not LEAST_GROUPED <= marked < len(rest):
            continue
        whole = pc.match_substring_regex(rest, r"^[^\d.,]*\d{1,3}[^\d.,]*$")
        if marked + (pc.sum(whole).as_py() or 0) == len(rest):
            return sign
    return ""


def _show_grouped(rest: pa.ChunkedArray, sign: str) -> str:
    return str(rest.filter(pc.match_substring(rest, sign))[0].as_py())[:40]


def _is_plain(rest: pa.ChunkedArray, delimiter: str) -> bool:
    """Return whether all cells are numbers with a point that can be no sign between groups."""
    if not _can_cast(rest, pa.float64()):
        return False
    grouped = pc.match_substring_regex(rest, r"^[-+]?[1-9]\d{0,2}(\.\d{3})?$")
    return delimiter == "," or not pc.all(grouped).as_py()


def _find_grouped_twice(rest: pa.ChunkedArray) -> str:
    """Return the sign that a cell such as 1,234,567 shows to group digits; empty if none does."""
    for sign in ".,":
        if pc.any(pc.match_substring_regex(rest, rf"\d([{sign}]\d{{3}}){{2}}")).as_py():
            return sign
    return ""


def _has_digits(cells: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells.slice(0, HEAD), DIGITS)).as_py())


def _share(cells: pa.ChunkedArray, decimal: str) -> float:
    """Return the share of cells that are numbers with a decimal sign, in the best form."""
    shares = [_count_numbers(cells, decimal, form) for form in _list_forms(cells, decimal)]
    return max(shares) / len(cells)


def _list_forms(cells: pa.ChunkedArray, decimal: str) -> Iterator[ColumnReading]:
    """Yield the ways in which numbers may be written, the plainest first."""
    yield PLAIN
    front, back = _find_sign(cells, FRONT), _find_sign(cells, BACK)
    signs: dict[str, str] = {}
    if front in CURRENCIES:
        signs["prefix"] = front
    if back in (*CURRENCIES, PERCENT):
        signs["suffix"] = back
    if signs:
        yield ColumnReading(**signs)
    for thousands in (",", ".", " ", "'"):
        if thousands != decimal:
            yield ColumnReading.model_validate({**signs, "thousands": thousands})


def _find_sign(cells: pa.ChunkedArray, pattern: str) -> str:
    """Return the one sign that stands at this side of the numbers; empty if none or several."""
    found = pc.extract_regex(cells.slice(0, HEAD), pattern)
    signs = pc.unique(pc.drop_null(pc.struct_field(pc.drop_null(found), "sign")))
    return signs[0].as_py() if len(signs) == 1 else ""


def _count_numbers(cells: pa.ChunkedArray, decimal: str, form: ColumnReading) -> int:
    plain = write_plainly(cells, decimal, form)
    return int(pc.sum(pc.match_substring_regex(plain, NUMBER)).as_py() or 0)


NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"


def _guess_number(column: _Cells) -> CellGuess | None:
    """Return a guess where the column holds numbers, or mostly numbers; else None."""
    rest, decimal = column.rest, column.reading.decimal
    if pc.any(pc.match_substring_regex(rest, LEADING_ZERO)).as_py():
        zeros = CellGuess("text", WITH_ZEROS)
        return zeros if _is_number(rest, decimal, PLAIN) else None
    head = rest.slice(0, HEAD)
    counts = {form: _count_numbers(head, decimal, form) for form in _list_forms(head, decimal)}
    form = max(counts, key=lambda item: counts[item])
    if counts[form] < SEVERAL * len(head):
        return None
    if not _is_number(rest, decimal, form) or len(rest) < LEAST_SHARE * len(column.present):
        return _keep_as_text(column, form)
    plain = write_plainly(rest, decimal, form)
    if not form.prefix and not form.suffix and _can_cast(plain, pa.int64()):
        return _tell(column, rest, "integer", "whole numbers throughout", form)
    if pc.any(pc.match_substring_regex(plain, WHOLE)).as_py():
        return CellGuess("text", TOO_LONG)
    return _tell(column, rest, "number", "numbers throughout", form)


def _keep_as_text(column: _Cells, form: ColumnReading) -> CellGuess:
    """Return the guess for a column most of whose cells are numbers, but not all."""
    plain = write_plainly(column.rest, column.reading.decimal, form)
    fits = pc.and_(pc.match_substring_regex(plain, NUMBER), pc.invert(_find_too_large(plain)))
    others = column.rest.filter(pc.invert(fits))
    others = others if len(others) else column.present.filter(
        pc.invert(pc.is_in(column.present, pc.unique(column.rest)))
    )  # fmt: skip
    count, example = len(others), str(others[0].as_py())[:40]
    note = (
        f"{count:,} of {len(column.present):,} cells are no numbers, such as '{example}': kept as "
        "text; empty those cells to have numbers"
    )
    return CellGuess("text", f"numbers, except for {count:,} cells such as '{example}'",
                     note=note, loud=True)  # fmt: skip


def _is_number(cells: pa.ChunkedArray, decimal: str, form: ColumnReading) -> bool:
    plain = write_plainly(cells, decimal, form)
    return _can_cast(plain, pa.float64()) and not pc.any(_find_too_large(plain)).as_py()


def _find_too_large(plain: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mark the numbers that are larger than a number of 64 bits can be, such as 1e400."""
    fits = pc.match_substring_regex(plain, NUMBER)
    numbers = pc.if_else(fits, plain, pa.scalar("0", pa.string())).cast(pa.float64())
    return pc.is_inf(numbers)


def _can_cast(cells: pa.ChunkedArray, target: pa.DataType) -> bool:
    try:
        cells.cast(target)
    except pa.ArrowInvalid:
        return False
    return True


def _tell(
    column: _Cells,
    kept: pa.ChunkedArray,
    kind: ColumnKind,
    reason: str,
    form: ColumnReading = PLAIN,
) -> CellGuess:
    """Return a guess whose reason and note say which words are null and what is read how."""
    words, count = column.list_words(kept)
    parts = []
    if form.prefix or form.suffix or form.thousands:
        plain = write_plainly(kept.slice(0, 1), column.reading.decimal, form)[0].as_py()
        parts.append(f"'{kept[0].as_py()}' is read as {plain}")
    if words:
        parts.append(f"{count:,} cells such as '{words[0]}' are null")
    note = ", ".join(parts)
    return CellGuess(kind, f"{reason}; {note}" if note else reason, form, words, note)


def _guess_time(column: _Cells) -> CellGuess | None:
    """Return a guess where the column holds times, or mostly times; else None.

    Raises:
        ChoiceNeeded: its dates can be read with the day first or the month first.
    """
    cells, zone = column.sure, column.reading.zone
    head = cells.slice(0, HEAD)
    counts = {form: _count_times(head, form, zone) for form in _list_times(head)}
    best = max(counts, key=lambda item: counts[item])
    if counts[best] < SEVERAL * len(head):
        return None
    good = {
        form: _count_times(cells, form, zone) for form in counts if counts[form] == counts[best]
    }
    best = max(good, key=lambda item: good[item])
    best = _choose_order(column, best, good)
    others = len(cells) - good[best]
    if "%y" in best and (note := _doubt_year(cells)):
        return CellGuess("text", "dates whose year is not clear", note=note, loud=True)
    if good[best] < MOST_TIMES * len(cells):
        bad = read_times(cells, best, zone).bad
        example = str(cells.filter(bad)[0].as_py())[:40]
        note = (
            f"{others:,} of {len(cells):,} cells are no times of the form {best}, such as "
            f"'{example}': kept as text; write all in one form, such as 2026-01-31 14:00, to have "
            "times"
        )
        return CellGuess("text", f"times, except for {others:,} cells", note=note, loud=True)
    form = PLAIN if best == ISO else ColumnReading(time=best)
    guess = _tell(column, cells, "timestamp", f"times of the form {best} throughout", form)
    return _add_times(column, guess, others, best)


def _add_times(column: _Cells, guess: CellGuess, others: int, form: str) -> CellGuess:
    """Return the guess with a word on the zone, and on rows that will be refused."""
    cells, zone = column.sure, column.reading.zone
    naive = form != ISO or not pc.all(pc.match_substring_regex(cells, r"(Z|z|:\d+ ?[+-][\d:]+)$"))
    parts = [guess.note] if guess.note else []
    if form != ISO:
        parts.append(f"times are read as {form}")
    if "%y" in form:
        parts.append("69 to 99 are years of 1900, 00 to 68 of 2000")
    if naive:
        parts.append(f"times without a zone are in {zone}")
    if others:
        bad = read_times(cells, form, zone).bad
        example = str(cells.filter(bad)[0].as_py())[:40]
        parts.append(f"{others:,} cells are no time, such as '{example}': their rows are refused")
    note = "; ".join(parts)
    reason = f"{guess.reason}; {note}" if note else guess.reason
    return CellGuess("timestamp", reason, guess.form, guess.nulls, note, bool(others))


def _choose_order(column: _Cells, best: str, good: dict[str, int]) -> str:
    """Return the form of the dates, of two that differ in the order of day and month.

    Raises:
        ChoiceNeeded: both fit as well, and no option chooses.
    """
    twin = _turn(best)
    if good.get(twin, -1) != good[best]:
        return best
    if not column.options.dates:
        raise ChoiceNeeded(
            f"dates such as '{column.sure[0].as_py()}' in column '{column.name}' can be read with "
            "the day first or the month first: choose with --dates day-first or --dates month-first"
        )
    day_first = best.index("%d") < best.index("%m")
    return best if day_first == (column.options.dates == "day-first") else twin


def _doubt_year(cells: pa.ChunkedArray) -> str:
    """Return what to say of short dates whose year may stand first; empty where it is last.

    Days take more values than years. Where the last number takes more, it may be the day.
    """
    found = pc.drop_null(pc.extract_regex(cells, SHORT_YEAR))
    if not len(found):
        return ""  # the month is a word: the day stands before it
    first, last = (pc.unique(pc.struct_field(found, key)).to_pylist() for key in ("first", "last"))
    if len(first) > len(last) or max(map(int, last)) > MOST_DAYS:
        return ""
    return (
        f"dates such as '{cells[0].as_py()}' may have the year first or last: kept as text; write "
        "years with four digits to have times"
    )


def _turn(form: str) -> str:
    """Return the form with day and month exchanged; empty for one that has no such twin."""
    if not re.match(r"%[dm][/-]%[dm]", form):
        return ""
    return form.translate(str.maketrans("dm", "md"))


def _list_times(head: pa.ChunkedArray) -> list[str]:
    """Return the forms of time that the first cells may have."""
    first = head[0].as_py()
    if re.match(r"\d{4}-\d", first) and pc.all(pc.starts_with(head, first[:1])).as_py():
        return [ISO]
    return [ISO, COMPACT, *(date + clock for date in DATES for clock in CLOCKS)]


def _count_times(cells: pa.ChunkedArray, form: str, zone: str) -> int:
    found = read_times(cells, form, zone)
    return len(cells) - int(pc.sum(found.bad).as_py() or 0)

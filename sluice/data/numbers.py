"""Numbers as people write them: null words, signs of currency, groups of digits, decimal commas."""

import re
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.reading import ColumnReading

MINUS = "\u2212-"
"""Both signs for minus, for use at the end of a class of a pattern."""
SPACES = "[\u00a0\u2009\u202f]"
"""Spaces of other widths, which stand between groups of digits."""
NO_NUMBER = "?"
"""Put before a cell that is no number in its column's form, so that no cast can read it."""


def drop_null_words(cells: pa.ChunkedArray, words: tuple[str, ...]) -> pa.ChunkedArray:
    """Return trimmed cells; those that are empty, or one of the words in any case, are null."""
    cells = pc.utf8_trim_whitespace(cells)
    lower = pa.array(sorted({"", *(word.lower() for word in words)}), pa.string())
    absent = pc.is_in(pc.utf8_lower(cells), lower)
    return pc.if_else(absent, pa.scalar(None, pa.string()), cells)


def is_plain(decimal: str, form: ColumnReading) -> bool:
    """Return whether numbers of this form are written as Arrow reads them."""
    return decimal == "." and not (form.thousands or form.prefix or form.suffix)


def write_plainly(cells: pa.ChunkedArray, decimal: str, form: ColumnReading) -> pa.ChunkedArray:
    """Return trimmed cells as plain numbers, such as `-1234.5` for `(1.234,50 EUR)`.

    A cell of another form gets a question mark in front, so that it can be read as no number.
    """
    if is_plain(decimal, form):
        return cells
    if form.thousands == " ":
        cells = pc.replace_substring_regex(cells, SPACES, " ")
    if form.thousands == "'":
        cells = pc.replace_substring(cells, "\u2019", "'")
    fits = pc.fill_null(pc.match_substring_regex(cells, form_pattern(decimal, form)), False)
    plain = pc.replace_substring_regex(cells, rf"^(?:\((.*)\)|[{MINUS}](.*))$", r"-\1\2")
    for sign in (form.prefix, form.suffix, form.thousands):
        plain = pc.replace_substring(plain, sign, "") if sign else plain
    plain = pc.replace_substring_regex(plain, rf"[\s+]|{SPACES}", "")
    plain = pc.replace_substring_regex(plain, rf"^([^eE]*)[{MINUS}]([^eE]*)$", r"-\1\2")
    plain = pc.replace_substring(plain, decimal, ".") if decimal != "." else plain
    return pc.if_else(fits, plain, pc.binary_join_element_wise(NO_NUMBER, cells, ""))


@lru_cache(maxsize=256)
def form_pattern(decimal: str, form: ColumnReading) -> str:
    """Return the pattern of a number of a form; a sign before it may be + or -, or brackets."""
    sep = re.escape(form.thousands)
    groups = rf"|[1-9]\d{{0,2}}(?:{sep}\d{{2,3}})*{sep}\d{{3}}" if sep else ""
    sign, prefix = f"[+{MINUS}]?", rf"(?:{re.escape(form.prefix)}\s*)?" if form.prefix else ""
    fraction = rf"(?:{re.escape(decimal)}\d*)?"
    number = rf"(?:(?:\d+{groups}){fraction}|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?"
    suffix = rf"\s*{re.escape(form.suffix)}" if form.suffix else ""
    body = rf"{prefix}{number}{suffix}"
    return rf"^(?:{sign}\s*{prefix}{sign}{number}{suffix}|\({body}\))$"

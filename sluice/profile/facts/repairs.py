"""Faults of a file that a person must repair before it is a service, each with the command."""

import csv
import re
import shlex
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.model import Problem
from sluice.config.reading import ReadingConfig
from sluice.data.extensions import PARQUET, find_extension, split_name
from sluice.errors import ChoiceNeeded, DataInvalid
from sluice.profile.facts.cells import CURRENCIES, DAY_PATTERN, HEAD
from sluice.profile.facts.columns import ColumnFacts, fold_text, split_words
from sluice.profile.facts.roles import (
    TIME_WORDS,
    explain_missing_id,
    find_column,
    is_named_id,
    list_ids,
    list_times,
)
from sluice.profile.facts.sizes import MINIMUM_CLASS_ROWS

TOTAL_WORDS = {
    "total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt", "gesamtsumme",
    "insgesamt", "somme", "suma", "totale", "totaal", "\u0438\u0442\u043e\u0433\u043e",
    "\u5408\u8ba1", "\u5408\u8a08",
}  # fmt: skip
"""What the last line of a spreadsheet says where it sums the lines above it."""
LAST_LINES = 3
SUM_TOLERANCE = 1e-6
EPOCH_UNITS = (("s", 10**9), ("ms", 10**12), ("us", 10**15), ("ns", 10**18))
"""Units of time since 1970, and about the value that each had in 2001."""
EPOCH_NAMES = {*TIME_WORDS, "ts", "at", "epoch", "unix", "datetime", "utc", "datum"}
YEARS = (0.4, 4.1)
"""Least and most of these values: the years 1982 to 2099."""
DAY_BOUNDS = (19_000_101, 21_001_231)
CODES = re.compile(r"-?9{2,9}|-9|-?8{3,9}|-1")
"""Whole numbers that often stand for an absent value, such as -999."""
LEAST_CODED, LEAST_NUMBERS = 3, 6
SEPARATORS = ",;\t|"
DIGITS = r"\d[\d.,'\x{00a0}\x{202f}]*"
UNIT = re.compile(
    rf"(?P<front>{'|'.join(map(re.escape, CURRENCIES))}|[<>~\u2264\u2265])?\s*[-+\u2212]?#"
    r"\s*(?P<back>[^\s\d#]{1,6})?"
)
"""A number with a sign or a unit, its digits replaced by `#`."""
MOST_UNITS = 5
OTHER_CLASS = "other"
"""The class that rare ones become."""


def write_command(path: Path, reading: ReadingConfig, change: str, name: str) -> str:
    """Return the shell command that writes a changed copy of a file.

    `change` is Python on the frame `d`, in which a CSV file's cells are text, so that no digit is
    lost; `name` is added to the file's name.
    """
    stem, extension = split_name(path)
    copy = path.with_name(f"{stem}-{name}{extension}")
    if not is_text_file(path):
        table = f"pyarrow.parquet.read_table({str(path)!r})"
        read = f"{table}.to_pandas(ignore_metadata=True, types_mapper=pandas.ArrowDtype)"
        write = f"to_parquet({str(copy)!r}, index=False)"
    else:
        form = f", sep={reading.delimiter!r}" if reading.delimiter != "," else ""
        form += f", encoding={reading.encoding!r}" if reading.encoding != "utf-8" else ""
        read = f"pandas.read_csv({str(path)!r}{form}, dtype=str, keep_default_na=False)"
        write = f"to_csv({str(copy)!r}{form}, index=False)"
    needed = "pandas" if is_text_file(path) else "pandas, pyarrow.parquet"
    code = f"import {needed}; d = {read}; {change}; d.{write}"
    quoted = re.sub(r'([\\"$`])', r"\\\1", code)
    return f'.venv/bin/python -c "{quoted}"'


def check_content(
    path: Path,
    table: pa.Table,
    columns: tuple[ColumnFacts, ...],
    reading: ReadingConfig,
    target: str,
) -> None:
    """Check that a file's rows are rows of data, and that its classes are written alike.

    Raises:
        DataInvalid: rows are empty in every column, or the last row sums the others.
        ChoiceNeeded: classes differ by case or spaces only.
    """
    _check_empty_rows(path, table, reading)
    _check_totals(path, table, reading)
    facts = find_column(columns, target, "--target")
    if same := find_variants(facts):
        command = write_command(
            path, reading, f"d[{target!r}] = d[{target!r}].str.strip().str.lower()", "clean"
        )
        raise ChoiceNeeded(
            f"--target: '{target}' has values that differ by case or spaces only, and each would "
            f"be a class: {_quote(same)}; write them alike: {command} (later files too), "
            "or give them other names if they differ in meaning"
        )


def check_classes(
    path: Path, target: ColumnFacts, problem: Problem, reading: ReadingConfig
) -> None:
    """Check that each class has enough rows for the gates.

    Raises:
        DataInvalid: one has fewer; with the command that merges the rare ones of several.
    """
    if problem == "regression":
        return
    rare = [
        (level, count)
        for level, count in zip(target.levels, target.counts, strict=True)
        if count < MINIMUM_CLASS_ROWS
    ]
    if not rare:
        return
    level, count = min(rare, key=lambda item: item[1])
    more = f" ({len(rare)} classes have fewer)" if len(rare) > 1 else ""
    way = "bring more, or merge it with another class"
    if problem == "multiclass":
        command = _write_merge(path, target, reading)
        way += (
            f"; this writes a file whose rare classes are one: {command} (merge later files alike)"
        )
    raise DataInvalid(
        f"{path}: class {level!r} of '{target.name}' has {count:,} rows, at least "
        f"{MINIMUM_CLASS_ROWS} needed{more}: {way}"
    )


def _write_merge(path: Path, target: ColumnFacts, reading: ReadingConfig) -> str:
    """Return the command that merges rare classes; a CSV file's cells are text to it."""
    name, other = repr(target.name), repr(OTHER_CLASS)
    if target.kind != "text":
        other = repr("-1") if is_text_file(path) else "-1"
    change = (
        f"n = d[{name}].map(d[{name}].value_counts()); "
        f"d[{name}] = d[{name}].where(n >= {MINIMUM_CLASS_ROWS}, {other})"
    )
    return write_command(path, reading, change, "merged")


def _check_empty_rows(path: Path, table: pa.Table, reading: ReadingConfig) -> None:
    empty = None
    for column in table.columns:
        cells = column.is_null()
        if pa.types.is_string(column.type):
            cells = pc.or_(cells, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), True))
        empty = cells if empty is None else pc.and_(empty, cells)
        if not pc.any(empty).as_py():
            return
    change = "d = d[d.apply(lambda c: c.str.strip() > '').any(axis=1)]"
    if not is_text_file(path):
        change = "d = d.dropna(how='all')"
    command = write_command(path, reading, change, "filled")
    raise DataInvalid(
        f"{path}: {pc.sum(empty).as_py():,} of {table.num_rows:,} rows are empty in every column; "
        f"allowed: rows of data; this leaves them out: {command}"
    )


def _check_totals(path: Path, table: pa.Table, reading: ReadingConfig) -> None:
    """Check that none of the last rows is the sum of the rows above it.

    Raises:
        DataInvalid: a cell says so, and a number is the sum.
    """
    first = max(0, table.num_rows - LAST_LINES)
    for row in range(first, table.num_rows):
        labels = [name for name in table.column_names if _says_total(table[name][row])]
        sums = [name for name in table.column_names if labels and _is_sum(table[name], row)]
        if sums:
            name, label = labels[0], table[labels[0]][row].as_py()
            change = f"d = d[d[{name!r}].fillna('').str.strip() != {label.strip()!r}]"
            command = write_command(path, reading, change, "rows")
            raise DataInvalid(
                f"{path}: row {row + 1} is no row of data: '{name}' is '{label}', and "
                f"'{sums[0]}' is the sum of the rows above; "
                f"this leaves it out: {command} (of later files too)"
            )


def _says_total(cell: pa.Scalar) -> bool:
    return isinstance(cell.as_py(), str) and fold_text(cell.as_py()).rstrip(":") in TOTAL_WORDS


def _is_sum(column: pa.ChunkedArray, row: int) -> bool:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) or row < 2:
        return False
    above, cell = pc.sum(column.slice(0, row)).as_py(), column[row].as_py()
    if above is None or cell is None or cell == 0:
        return False
    return bool(abs(above - cell) <= SUM_TOLERANCE * abs(cell))


def find_variants(column: ColumnFacts) -> tuple[str, ...]:
    """Return values of a text column that differ by case or spaces only; empty if there are none.

    Of several such sets, it is the first. Only columns with listed values are looked at.
    """
    if column.kind != "text":
        return ()
    alike: dict[str, list[str]] = {}
    for value in column.levels:
        alike.setdefault(" ".join(str(value).casefold().split()), []).append(str(value))
    return next((tuple(values) for values in alike.values() if len(values) > 1), ())


def _quote(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def check_roles(
    path: Path,
    table: pa.Table,
    columns: tuple[ColumnFacts, ...],
    reading: ReadingConfig,
    chosen: tuple[str, str, str],
) -> None:
    """Check that a column can be the id, and that none holds times that are written as numbers.

    `chosen` are the target, and what a person named as id and as time; empty where nothing.

    Raises:
        ChoiceNeeded: no column names each row, or a column of numbers is most likely the time; with
            the command that repairs the file.
    """
    target, named, time = chosen
    if not named and not list_ids(columns, target):
        key = _find_key(table, columns, target)
        if key:
            cells = " + '|' + ".join(f"d[{name!r}].astype(str)" for name in key)
            cells = f"'row ' + {cells}" if len(key) == 1 else cells  # a time alone is no id
            change, reason = f"d.insert(0, 'row_id', {cells})", f"{' and '.join(key)} do together: "
            reason = reason if len(key) > 1 else f"the time '{key[0]}' does, and can be made text: "
        else:
            change, reason = "d.insert(0, 'row_id', range(len(d)))", "number the rows: "
        way = reason + write_command(path, reading, change, "with-id")
        raise ChoiceNeeded(explain_missing_id(columns, target, way, bool(key)))
    if time or list_times(columns, {target, named}):
        return
    for column in columns:
        if column.name not in (target, named) and (found := _read_as_time(column, table)):
            unit, code = found
            command = write_command(path, reading, code, "times")
            raise ChoiceNeeded(
                f"--time: '{column.name}' is named like a time and holds {unit}, "
                f"{column.low} to {column.high}; write them as times: {command} (later files "
                "too); or pass --time none, and they are plain numbers"
            )


def _find_key(table: pa.Table, columns: tuple[ColumnFacts, ...], target: str) -> tuple[str, ...]:
    """Return a time, or a time and a name, that no two rows share; empty if there is none."""
    filled = [item for item in columns if not item.nulls and item.name != target]
    times = [item for item in filled if item.kind == "timestamp" or item.dated]
    names = [
        item
        for item in filled
        if item not in times and (is_named_id(item) or (item.kind == "text" and item.levels))
    ]
    for item in times:
        if item.unique:
            return (item.name,)
    pairs = [(name, time) for time in times for name in names]
    for one, other in (*pairs, *combinations([item for item in names if is_named_id(item)], 2)):
        if one.distinct * other.distinct >= table.num_rows:
            both = table.select([one.name, other.name])
            if both.group_by(both.column_names).aggregate([]).num_rows == table.num_rows:
                return one.name, other.name
    return ()


def _read_as_time(column: ColumnFacts, table: pa.Table) -> tuple[str, str] | None:
    """Return what a column of numbers holds, and Python that makes times of it; else None."""
    if column.kind != "integer" or not EPOCH_NAMES & set(split_words(column.name)):
        return None
    name, low, high = column.name, column.low, column.high
    number = f"pandas.to_numeric(d[{name!r}])"
    for unit, second in EPOCH_UNITS:
        if YEARS[0] * second <= low and high <= YEARS[1] * second and column.distinct > 1:
            code = f"d[{name!r}] = pandas.to_datetime({number}, unit='{unit}', utc=True)"
            return f"{unit} since 1970", code
    if DAY_BOUNDS[0] <= low <= high <= DAY_BOUNDS[1]:
        cells = pc.drop_null(table[name]).cast(pa.string())
        if pc.all(pc.match_substring_regex(cells, DAY_PATTERN)).as_py():
            code = f"d[{name!r}] = pandas.to_datetime(d[{name!r}].astype(str), format='%Y%m%d')"
            return "days such as 20260131", code
    return None


def list_notices(
    table: pa.Table, columns: tuple[ColumnFacts, ...], target: str, is_text_file: bool
) -> Iterator[str]:
    """Yield what a person must know of the values of columns that are not the target."""
    way = "add it to data.reading.nulls" if is_text_file else "make those cells null"
    for column in columns:
        if column.name == target:
            continue
        if same := find_variants(column):
            yield (
                f"{column.name}: {_quote(same)} differ by case or spaces only, and are "
                f"{len(same)} categories"
            )
        elif examples := _find_units(column, table[column.name]):
            yield (
                f"{column.name}: {column.rows - column.nulls:,} cells are numbers with signs or "
                f"units, such as {_quote(examples)}: kept as text; write them without, in one "
                "unit, to have numbers"
            )
        elif column.numeric and (code := _find_code(column, table[column.name])):
            value, rows, low, high = code
            yield (
                f"{column.name}: {value} in {rows:,} rows is far from the others ({low} to {high}) "
                f"and may stand for an absent value: if so, {way}"
            )
    yield from _find_copies(table, columns, target)


def _find_copies(table: pa.Table, columns: tuple[ColumnFacts, ...], target: str) -> Iterator[str]:
    """Yield a line for each column that has the values of an earlier one in every row."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for column in columns:
        if column.name == target or column.constant:
            continue
        facts = (column.kind, column.nulls, column.distinct, column.low, column.high)
        earlier = alike.setdefault((*facts, column.counts), [])
        for name in earlier:
            if table[name].equals(table[column.name]):
                yield (
                    f"{column.name}: the values of {name} in every row: one of the two in "
                    "data.features is enough"
                )
                break
        else:
            earlier.append(column.name)


def _find_units(column: ColumnFacts, cells: pa.ChunkedArray) -> tuple[str, ...]:
    """Return a cell of each unit, where all cells are numbers with one; else nothing.

    Columns of few values are categories, such as `36 months`, and unique ones names.
    """
    if column.kind != "text" or column.levels or column.unique or not column.distinct:
        return ()
    present = pc.utf8_trim_whitespace(pc.drop_null(cells))
    first = pc.replace_substring_regex(present.slice(0, HEAD), DIGITS, "#")
    kinds = pc.unique(first).to_pylist()
    found = [UNIT.fullmatch(kind) for kind in kinds]
    if len(kinds) > MOST_UNITS or not all(match and any(match.groups()) for match in found):
        return ()
    signs = pc.replace_substring_regex(present, DIGITS, "#")
    if not pc.all(pc.is_in(signs, pa.array(kinds, signs.type))).as_py():
        return ()
    return tuple(str(present.filter(pc.equal(signs, kind))[0].as_py()) for kind in kinds)


def _find_code(column: ColumnFacts, cells: pa.ChunkedArray) -> tuple[int, int, float, float] | None:
    """Return a number that may stand for an absent value, its rows, and the others' bounds.

    It is the lowest or the highest, as far from the others as they are from each other.
    """
    for value in (column.low, column.high):
        if column.distinct < LEAST_NUMBERS or value != int(value):
            continue
        if not CODES.fullmatch(str(int(value))):
            continue
        others = pc.min_max(cells.filter(pc.not_equal(cells, value))).as_py()
        low, high = others["min"], others["max"]
        rows = pc.sum(pc.equal(cells, value)).as_py()
        gap = min(abs(value - low), abs(value - high))
        if rows >= LEAST_CODED and gap > max(high - low, 1) and not low <= value <= high:
            return int(value), rows, low, high
    return None


def is_text_file(path: Path) -> bool:
    """Return whether a file is CSV, compressed or not."""
    return find_extension(path) != PARQUET


def explain_header(path: Path, lines: list[str]) -> str:
    """Return where a CSV file's names seem to be and how to begin there; empty if in line 1."""
    line = find_header(lines)
    if line == 1:
        return ""
    ending = path.suffix if path.suffix != ".gz" else "".join(path.suffixes[-2:-1])
    show = "zcat" if path.suffix == ".gz" else "cat"
    copy = path.with_name(f"{path.name.split('.')[0]}-table{ending}")
    return (
        f"the names seem to be in line {line}: leave the lines above it out: "
        f"{show} {shlex.quote(str(path))} | tail -n +{line} > {shlex.quote(str(copy))} "
        "(of later files too)"
    )


def find_header(lines: list[str]) -> int:
    """Return the line, counted from 1, that seems to hold the names of a CSV file.

    It is the first with most cells, none of them empty: titles above a table have fewer.
    """
    most, line = 0, 1
    for sign in SEPARATORS:
        rows = list(csv.reader(lines, delimiter=sign))
        width = max((len(row) for row in rows), default=0)
        whole = [
            place
            for place, row in enumerate(rows, 1)
            if len(row) == width > 1 and all(cell.strip() for cell in row)
        ]
        if width * len(whole) > most:
            most, line = width * len(whole), whole[0]
    return line

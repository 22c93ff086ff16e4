"""Reading of CSV and Parquet files; each error names file, line and column."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial, reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from sluice.adapters.storage import explain_os_error
from sluice.adapters.tables.csv_file import (
    explain_delimiter,
    find_encoding,
    find_lines,
    guess_delimiter,
    guess_encoding,
    read_cells,
)
from sluice.adapters.tables.data_file import check_file, check_unchanged
from sluice.config.data import ColumnKind, DataConfig
from sluice.config.reading import PLAIN, ReadingConfig
from sluice.config.reading_text import change_reading
from sluice.data.batches.refusal import ReadRows
from sluice.data.extensions import PARQUET, find_extension
from sluice.data.numbers import drop_null_words, is_plain, write_plainly
from sluice.data.schema import (
    ARROW_TYPES,
    SHOWN_CHARACTERS,
    cast_column,
    cast_rows,
    cast_times,
    check_columns,
    drop_index,
    find_misfit,
    is_text,
    sift_rows,
)
from sluice.data.times import ReadTimes, read_times
from sluice.errors import DataInvalid, DataUnavailable, SchemaRefused
from sluice.profile.facts.cells import CellGuess, Dates, GuessOptions, guess_cells, guess_decimal
from sluice.profile.facts.columns import ColumnFacts, describe_column, kind_of_type


def read_batch(path: Path, config: DataConfig) -> pa.Table:
    """Read a Parquet or CSV file whose rows all fit, as `read_rows` does.

    Raises:
        DataInvalid: as `read_rows`; also where a single row would be refused.
        DataUnavailable: the file exists and cannot be read at present.
    """
    found = read_rows(path, config)
    if found.refused:
        raise DataInvalid(f"{path}: {found.refused[0].describe()}")
    return found.table


def read_rows(path: Path, config: DataConfig) -> ReadRows:
    """Read a Parquet or CSV file as rows of the service's schema.

    `config.reading` says how a CSV file is written; an unquoted empty cell is null. A row with a
    cell that is no time is refused alone.

    Raises:
        DataInvalid: the file is missing, empty, truncated or of another format; a column is
            missing, unknown or of another kind; a cell does not fit; an id is given twice.
        DataUnavailable: the file exists and cannot be read at present, or changed meanwhile.
    """
    before = check_file(path)
    try:
        found = _read_known_file(path, config)
    except DataInvalid as error:
        check_unchanged(path, before, error)
        raise
    check_unchanged(path, before)
    return found


def _read_known_file(path: Path, config: DataConfig) -> ReadRows:
    try:
        if find_extension(path) == PARQUET:
            return cast_rows(read_parquet(path), config, str(path))
        return read_csv(path, config)
    except (pa.ArrowInvalid, EOFError) as error:
        kind = find_extension(path)[1:]
        raise DataInvalid(f"{path}: not readable as {kind}: {_shorten(error)}") from error
    except OSError as error:
        raise _classify_error(path, error) from error


def read_parquet(path: Path) -> pa.Table:
    """Read one Parquet file with its own schema."""
    with path.open("rb") as file:
        return parquet.read_table(file)


def read_csv(path: Path, config: DataConfig) -> ReadRows:
    """Read one CSV file, each column parsed as its kind.

    Raises:
        DataInvalid: the header is not the service's, a line has too many or too few cells, or a
            cell cannot be parsed.
    """
    cells, notes = drop_index(read_cells(path, config.reading), config.columns)
    _check_header(path, cells.column_names, config)
    if cells.num_rows == 0:
        raise DataInvalid(f"{path}: no rows, only column names")
    columns, bad = {}, {}
    for name, kind in config.columns.items():
        if kind == "timestamp":
            times = _parse_times(cells[name], name, config.reading)
            columns[name], bad[name] = times.moments, times.bad
        else:
            parsed = _parse_column(cells[name], name, kind, config.reading, path)
            columns[name] = cast_column(parsed, name, kind, str(path))
    place = partial(_find_places, path, config.reading)
    return replace(sift_rows(columns, bad, cells, config, str(path), place), notes=notes)


def _check_header(path: Path, names: list[str], config: DataConfig) -> None:
    """Check the names of a CSV file.

    Raises:
        DataInvalid: they are not the service's; another delimiter is recognised.
    """
    if not set(names) & set(config.columns):
        found = guess_delimiter(path, config.reading.encoding)
        if found != config.reading.delimiter:
            raise DataInvalid(explain_delimiter(path, found, config.reading.delimiter))
    check_columns(names, config, str(path))


def _parse_times(column: pa.ChunkedArray, name: str, reading: ReadingConfig) -> ReadTimes:
    cells = drop_null_words(column, reading.nulls)
    return read_times(cells, reading.of(name).time, reading.zone)


def _parse_column(
    column: pa.ChunkedArray, name: str, kind: str, reading: ReadingConfig, path: Path
) -> pa.ChunkedArray:
    if kind == "text":
        return column
    plain = kind != "boolean" and is_plain(reading.decimal, reading.of(name))
    if plain and not _has_numbers(reading.nulls):
        with suppress(pa.ArrowInvalid):  # most columns have no word for null
            return pc.utf8_trim_whitespace(column).cast(ARROW_TYPES[kind])
    cells = drop_null_words(column, reading.nulls)
    if kind == "boolean":
        cells, widest = pc.utf8_lower(cells), ARROW_TYPES[kind]
    else:
        cells, widest = write_plainly(cells, reading.decimal, reading.of(name)), pa.float64()
    try:
        return cells.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid:
        pass
    try:
        return cells.cast(widest)
    except pa.ArrowInvalid as error:
        row = find_misfit(cells, widest)
        place = _find_places(path, reading, [row])[0]
        raise DataInvalid(
            f"{path}: {place}: column '{name}': "
            f"found text {str(column[row])[:SHOWN_CHARACTERS]!r}, allowed: {kind}"
            f"{_describe_form(kind, reading, name)}; next: repair it, or say in data.reading how "
            "such cells are written (`nulls`, `columns`)"
        ) from error


@cache
def _has_numbers(words: tuple[str, ...]) -> bool:
    """Return whether a word for null, such as -999 or inf, is a number too."""
    number = re.compile(r"[-+]?([\d.]+(e[-+]?\d+)?|inf(inity)?)", re.IGNORECASE)
    return any(number.fullmatch(word.strip()) for word in words)


def _describe_form(kind: str, reading: ReadingConfig, name: str) -> str:
    form = reading.of(name)
    parts = [f"decimal sign '{reading.decimal}'"] if reading.decimal != "." else []
    signs = (("thousands", form.thousands), ("before", form.prefix), ("behind", form.suffix))
    parts += [f"{word} '{sign}'" for word, sign in signs if sign]
    return f" ({', '.join(parts)})" if parts and kind != "boolean" else ""


def _find_places(path: Path, reading: ReadingConfig, rows: list[int]) -> list[str]:
    return [f"line {line}" for line in find_lines(path, reading, rows)]


def _classify_error(path: Path, error: OSError) -> DataInvalid | DataUnavailable:
    if error.errno is None:  # Arrow's error for invalid bytes
        return DataInvalid(f"{path}: not readable as {find_extension(path)[1:]}: {_shorten(error)}")
    return DataUnavailable(f"{path}: cannot be read: {os.strerror(error.errno)}")


def _shorten(error: Exception) -> str:
    return str(error).splitlines()[0][:200]


@dataclass(frozen=True)
class ReadingNote:
    """What a person must know about how a file was read; a loud one is about lost values."""

    text: str
    loud: bool = False


@dataclass(frozen=True, eq=False)
class UnknownFile:
    """A file without a known schema: its rows in guessed types, and each column's facts.

    `reading` is how later files are to be read. Rows with a cell that is no time are left out.
    """

    path: Path
    table: pa.Table
    columns: tuple[ColumnFacts, ...]
    reading: ReadingConfig
    notes: tuple[ReadingNote, ...]


def read_unknown(path: Path, options: GuessOptions | None = None) -> UnknownFile:
    """Read a Parquet or CSV file without knowing its schema.

    Raises:
        DataInvalid: the file is missing, empty, of another format or encoding; a line has too many
            cells; a column has no name, a name given twice or in another case, or an unsupported
            type.
        ChoiceNeeded: there are two likely answers, and no option chooses.
        DataUnavailable: the file exists and cannot be read at present.
    """
    check_file(path)
    options = options or GuessOptions()
    with _explain_errors(path):
        if find_extension(path) == PARQUET:
            reading = change_reading(ReadingConfig(), {"zone": options.zone})
            table = read_parquet(path)
        else:
            reading = _guess_file(path, options)
            table = read_cells(path, reading)
    table, dropped = drop_index(table)
    _check_names(path, table.column_names)
    if table.num_rows == 0:
        raise DataInvalid(f"{path}: no rows, only column names")
    notes = [ReadingNote(text) for text in (*_tell_file(path, reading, options), *dropped)]
    if find_extension(path) != PARQUET:
        reading = reading.model_copy(update={"decimal": guess_decimal(table, reading, options)})
        if reading.decimal == "," and not options.decimal:
            notes.append(ReadingNote("numbers have a decimal comma"))
    return _describe_file(path, table, reading, options, notes)


def read_added(
    path: Path, name: str, config: DataConfig, kind: ColumnKind | None = None, dates: Dates = ""
) -> UnknownFile:
    """Read a column that a service lacks, and the service's time beside it, where there is one.

    The file is read as the service's files are. The column's kind is guessed unless it is given,
    and so is how its cells are written; both are in `reading`, beside the service's own.

    Raises:
        SchemaRefused: the file has no such column.
        DataInvalid: the file cannot be read so, or a cell does not fit the kind.
        ChoiceNeeded: dates can be read with the day first or the month first.
        DataUnavailable: the file cannot be read at present.
    """
    check_file(path)
    known = config.reading
    with _explain_errors(path):
        is_parquet = find_extension(path) == PARQUET
        table = read_parquet(path) if is_parquet else read_cells(path, known)
    if table.column_names.count(name) != 1:
        names = ", ".join(table.column_names)
        found = f"column '{name}' more than once" if name in table.column_names else ""
        raise SchemaRefused(f"{path}: found {found or f'no column {name!r}'}; there are: {names}")
    options = GuessOptions(known.delimiter, known.encoding, known.decimal, known.zone, dates)
    guess = _guess_column(path, name, table[name], known, options)
    if kind is not None and kind != guess.kind:
        is_number = {kind, guess.kind} <= {"integer", "number"}
        guess = replace(guess, kind=kind) if is_number else CellGuess(kind, "as given")
    reading = _add_guesses(known, {name: guess})
    typed = _type_columns(path, table.select([name]), reading, {name: guess})
    facts = describe_column(name, typed[name], guess.kind, guess.reason, str(path))[1]
    notes = (ReadingNote(f"{name}: {guess.note}", guess.loud),) if guess.note else ()
    time = config.time or ""
    if time != name and time in table.column_names and typed.num_rows == table.num_rows:
        typed = typed.append_column(time, _read_known(path, table[time], time, config))
    return UnknownFile(path, typed, (facts,), reading, notes)


def _read_known(
    path: Path, cells: pa.ChunkedArray, name: str, config: DataConfig
) -> pa.ChunkedArray:
    """Return a column of the service in its kind."""
    kind = config.columns[name]
    if kind == "timestamp":
        return cast_times(cells, name, config.reading, str(path)).moments
    if find_extension(path) != PARQUET:
        cells = _parse_column(cells, name, kind, config.reading, path)
    return cast_column(cells, name, kind, str(path))


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    """Translate errors of reading a whole file into our errors."""
    try:
        yield
    except (pa.ArrowInvalid, EOFError, OSError) as error:
        if getattr(error, "errno", None) and isinstance(error, OSError):
            raise explain_os_error(error, str(path)) from error
        kind = find_extension(path)[1:]
        raise DataInvalid(f"{path}: not readable as {kind}: {_shorten(error)}") from error


def _guess_file(path: Path, options: GuessOptions) -> ReadingConfig:
    given = {"zone": options.zone, "encoding": options.encoding, "delimiter": options.delimiter}
    if options.decimal:
        given["decimal"] = options.decimal
    reading = change_reading(ReadingConfig(), {key: word for key, word in given.items() if word})
    encoding = reading.encoding if options.encoding else guess_encoding(path)
    delimiter = reading.delimiter if options.delimiter else guess_delimiter(path, encoding)
    return reading.model_copy(update={"encoding": encoding, "delimiter": delimiter})


def _tell_file(path: Path, reading: ReadingConfig, options: GuessOptions) -> list[str]:
    found = []
    if reading.encoding != "utf-8" and not options.encoding:
        known = find_encoding(path, "")
        reason = "its byte order mark says so" if known else "not UTF-8; --encoding names another"
        found.append(f"the file is read as {reading.encoding} ({reason})")
    if reading.delimiter != "," and not options.delimiter:
        found.append(f"cells are divided by {reading.delimiter!r}")
    return found


def _describe_file(
    path: Path,
    table: pa.Table,
    reading: ReadingConfig,
    options: GuessOptions,
    notes: list[ReadingNote],
) -> UnknownFile:
    """Return the file with each column in its guessed kind, and what was guessed."""
    guesses = {
        name: _guess_column(path, name, table[name], reading, options)
        for name in table.column_names
    }
    reading = _add_guesses(reading, guesses)
    told = [
        ReadingNote(f"{name}: {guess.note}", guess.loud)
        for name, guess in guesses.items()
        if guess.note
    ]
    typed = _type_columns(path, table, reading, guesses)
    facts = tuple(
        describe_column(name, typed[name], guess.kind, guess.reason, str(path))[1]
        for name, guess in guesses.items()
    )
    return UnknownFile(path, typed, facts, reading, (*notes, *told))


def _add_guesses(reading: ReadingConfig, guesses: dict[str, CellGuess]) -> ReadingConfig:
    """Return how later files are read: with the words and forms that were found."""
    known = {word.lower() for word in reading.nulls}
    words = [word for guess in guesses.values() for word in guess.nulls]
    new = {word.lower(): word for word in words if word.lower() not in known}
    forms = {name: guess.form for name, guess in guesses.items() if guess.form != PLAIN}
    return reading.model_copy(update={"nulls": (*reading.nulls, *new.values()), "columns": forms})


def _type_columns(
    path: Path, table: pa.Table, reading: ReadingConfig, guesses: dict[str, CellGuess]
) -> pa.Table:
    """Return the rows in their guessed kinds, without those with a cell that is no time."""
    columns, bad = {}, []
    for name, guess in guesses.items():
        cells = table[name]
        if guess.kind == "timestamp":
            times = cast_times(cells, name, reading, str(path))
            cells = times.moments
            bad.append(times.bad)
        elif find_extension(path) != PARQUET:
            cells = _parse_column(cells, name, guess.kind, reading, path)
        columns[name] = cast_column(cells, name, guess.kind, str(path))
    typed = pa.table(columns)
    if not bad:
        return typed
    refused = reduce(pc.or_, bad)
    return typed.filter(pc.invert(refused)) if pc.any(refused).as_py() else typed


def _guess_column(
    path: Path, name: str, cells: pa.ChunkedArray, reading: ReadingConfig, options: GuessOptions
) -> CellGuess:
    if find_extension(path) != PARQUET:
        return guess_cells(name, cells, reading, options)
    kind, reason = kind_of_type(cells, name, str(path))
    if kind == "text" and is_text(cells.type):
        found = guess_cells(name, cells.cast(pa.string()), reading, options)
        if found.kind == "timestamp":
            return found
        if found.kind == "number" or found.form != PLAIN or found.loud:
            count = f"{len(cells) - cells.null_count:,}"
            note = f"{count} cells are text that holds numbers: kept as text; cast it in the file"
            return CellGuess(kind, reason, note=note, loud=True)
    return CellGuess(kind, reason)


def _check_names(path: Path, names: list[str]) -> None:
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise DataInvalid(
                f"{path}: column {place} has no name (perhaps an index): "
                "name it in the first line, or leave it out"
            )
        if names.count(name) > 1:
            raise DataInvalid(f"{path}: column '{name}' is given {names.count(name)} times")
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise DataInvalid(
                f"{path}: columns '{other}' and '{name}' differ by case only, which tables do not "
                "tell apart; allowed: names that differ; rename one"
            )

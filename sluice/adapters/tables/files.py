"""Reading of CSV and Parquet files; each error names file, line and column."""

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from sluice.adapters.storage import explain_os_error
from sluice.config.data import DataConfig
from sluice.data.schema import ARROW_TYPES, check_columns, check_schema, find_misfit
from sluice.errors import DataInvalid, DataUnavailable
from sluice.profile.columns import ColumnFacts, describe_column, guess_kind, kind_of_type

EXTENSIONS = (".parquet", ".csv")


def read_batch(path: Path, config: DataConfig) -> pa.Table:
    """Read a Parquet or CSV file as rows of the service's schema.

    CSV is UTF-8, with commas and a header; an unquoted empty cell is null.

    Raises:
        DataInvalid: the file is missing, empty, truncated or of another format; a column is
            missing, unknown or of another kind; a cell does not fit; an id is given twice.
        DataUnavailable: the file exists and cannot be read at present.
    """
    check_file(path)
    try:
        table = read_csv(path, config) if path.suffix == ".csv" else read_parquet(path)
    except pa.ArrowInvalid as error:
        raise DataInvalid(
            f"{path}: not readable as {path.suffix[1:]}: {_shorten(error)}"
        ) from error
    except OSError as error:
        raise _classify_error(path, error) from error
    return check_schema(table, config, str(path))


def check_file(path: Path) -> None:
    """Check that a path is a readable data file.

    Raises:
        DataInvalid: it is missing, a folder, empty, or has another extension.
        DataUnavailable: it cannot be read at present.
    """
    if path.suffix not in EXTENSIONS:
        found = f"extension '{path.suffix}'" if path.suffix else "no extension"
        raise DataInvalid(f"{path}: found {found}, allowed: {', '.join(EXTENSIONS)}")
    try:
        exists, regular = path.exists(), path.is_file()
        size = path.stat().st_size if regular else 0
    except OSError as error:
        raise DataUnavailable(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    if not exists:
        raise DataInvalid(f"{path}: no such file")
    if not regular:
        raise DataInvalid(f"{path}: found a folder, allowed: one file, or a Delta table")
    if size == 0:
        raise DataInvalid(f"{path}: the file is empty")


def read_parquet(path: Path) -> pa.Table:
    """Read one Parquet file with its own schema."""
    with path.open("rb") as file:
        return parquet.read_table(file)


def read_csv(path: Path, config: DataConfig) -> pa.Table:
    """Read one CSV file, each column parsed as its kind.

    Raises:
        DataInvalid: the header is not the service's, a line has too many or too few cells, or a
            cell cannot be parsed.
    """
    names = read_header(path)
    check_columns(names, config, str(path))
    table = read_cells(path, names)
    columns = {name: _parse_column(table[name], name, config, path) for name in names}
    return pa.table(columns)


def read_header(path: Path) -> list[str]:
    """Return the column names of a CSV file's first line."""
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", "replace").strip()
    return [name.strip().strip('"') for name in header.split(",")]


def read_cells(path: Path, names: list[str]) -> pa.Table:
    """Read the rows of a CSV file below its header, every cell as text; empty is null.

    Raises:
        DataInvalid: a line has too many or too few cells.
        ArrowInvalid: the bytes are not UTF-8, or no CSV.
    """
    broken: list[csv.InvalidRow] = []

    def stop_at_row(row: csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    try:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            parse_options=csv.ParseOptions(invalid_row_handler=stop_at_row),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if not broken:
            raise
        row = broken[0]
        raise DataInvalid(
            f"{path}: line {row.number}: found {row.actual_columns} cells, "
            f"allowed: {row.expected_columns}"
        ) from error


def _parse_column(
    column: pa.ChunkedArray, name: str, config: DataConfig, path: Path
) -> pa.ChunkedArray:
    kind = config.columns[name]
    if kind == "text":
        return column
    column = pc.utf8_trim_whitespace(column)
    if kind == "boolean":
        column = pc.utf8_lower(column)
    steps = [pa.float64()] if kind in ("integer", "number") else [ARROW_TYPES[kind]]
    try:
        return column.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid:
        pass
    try:
        return column.cast(steps[0])
    except pa.ArrowInvalid as error:
        row = find_misfit(column, steps[0])
        raise DataInvalid(
            f"{path}: line {_find_line(path, row)}: column '{name}': "
            f"found text {str(column[row])[:40]!r}, allowed: {kind}"
        ) from error


def _find_line(path: Path, row: int) -> int:
    """Return the line, counted from 1, of a row counted from 0; empty lines hold no row."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        filled = [number for number, line in enumerate(lines, 1) if line.strip("\r\n")]
    return filled[row + 1]


def _classify_error(path: Path, error: OSError) -> DataInvalid | DataUnavailable:
    if error.errno is None:  # Arrow's error for invalid bytes
        return DataInvalid(f"{path}: not readable as {path.suffix[1:]}: {_shorten(error)}")
    return DataUnavailable(f"{path}: cannot be read: {os.strerror(error.errno)}")


def _shorten(error: Exception) -> str:
    return str(error).splitlines()[0][:200]


SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar"}
BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, eq=False)
class UnknownFile:
    """A file without a known schema: its rows in guessed types, and each column's facts."""

    path: Path
    table: pa.Table
    columns: tuple[ColumnFacts, ...]


def read_unknown(path: Path) -> UnknownFile:
    """Read a Parquet or CSV file without knowing its schema.

    Raises:
        DataInvalid: the file is missing, empty, of another format, encoding or separator; a line
            has too many cells; a column has no name, a name given twice, or an unsupported type.
        DataUnavailable: the file exists and cannot be read at present.
    """
    check_file(path)
    try:
        table = _read_csv(path) if path.suffix == ".csv" else read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):
            raise explain_os_error(error, str(path)) from error
        words = str(error).splitlines()[0][:200]
        raise DataInvalid(f"{path}: not readable as {path.suffix[1:]}: {words}") from error
    _check_names(path, table.column_names)
    if table.num_rows == 0:
        raise DataInvalid(f"{path}: no rows, only column names")
    columns, facts = {}, []
    for name in table.column_names:
        cells = table[name]
        if path.suffix == ".csv":
            kind, reason = guess_kind(cells)
        else:
            kind, reason = kind_of_type(cells, name, str(path))
        columns[name], found = describe_column(name, cells, kind, reason, str(path))
        facts.append(found)
    return UnknownFile(path, pa.table(columns), tuple(facts))


def _read_csv(path: Path) -> pa.Table:
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            raise DataInvalid(_explain_encoding(path, encoding))
    names = read_header(path)
    if len(names) == 1:
        for sign, word in SEPARATORS.items():
            if sign in names[0]:
                raise DataInvalid(_explain_separator(path, sign, word))
    try:
        return read_cells(path, names)
    except pa.ArrowInvalid as error:
        if "utf8" in str(error).lower().replace("-", ""):
            raise DataInvalid(_explain_encoding(path, "WINDOWS-1252")) from error
        raise


def _explain_separator(path: Path, sign: str, word: str) -> str:
    shown = "\\t" if sign == "\t" else sign
    return (
        f"{path}: line 1: cells are divided by {word}, allowed: a comma; write it again with "
        f".venv/bin/python -c \"import pandas; pandas.read_csv('{path.name}', sep='{shown}')"
        f".to_csv('{path.stem}-commas.csv', index=False)\" "
        "(and decimal=',' where numbers have decimal commas)"
    )


def _explain_encoding(path: Path, likely: str) -> str:
    return (
        f"{path}: the text is not UTF-8, perhaps {likely}; allowed: UTF-8; write it again with "
        f"iconv -f {likely} -t UTF-8 {path.name} > {path.stem}-utf8.csv"
    )


def _check_names(path: Path, names: list[str]) -> None:
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise DataInvalid(
                f"{path}: column {place} has no name (perhaps an index): "
                "name it in the first line, or leave it out"
            )
        if names.count(name) > 1:
            raise DataInvalid(f"{path}: column '{name}' is given {names.count(name)} times")

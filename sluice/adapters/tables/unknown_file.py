"""Reading a file that no service knows yet: its columns are what they look like."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from sluice.adapters.storage import explain_os_error
from sluice.adapters.tables.files import check_file, read_cells, read_header, read_parquet
from sluice.errors import DataInvalid
from sluice.profile.columns import ColumnFacts, describe_column, guess_kind, kind_of_type

SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar"}
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, eq=False)
class UnknownFile:
    """A file's rows in the types that its columns look like, and what each column holds."""

    path: Path
    table: pa.Table
    columns: tuple[ColumnFacts, ...]


def read_unknown(path: Path) -> UnknownFile:
    """Read a Parquet or CSV file without knowing its schema.

    Raises:
        DataInvalid: the file is missing, empty, of another format, encoding or separator; a line
            has too many cells; a column has no name, one given twice, or a type of no use.
        DataUnavailable: the file is there and cannot be read now.
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
    for mark, encoding in MARKS.items():
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
        f"{path}: line 1: cells are divided by {word}, allowed: a comma; write it anew with "
        f".venv/bin/python -c \"import pandas; pandas.read_csv('{path.name}', sep='{shown}')"
        f".to_csv('{path.stem}-commas.csv', index=False)\" "
        "(and decimal=',' where numbers have decimal commas)"
    )


def _explain_encoding(path: Path, likely: str) -> str:
    return (
        f"{path}: the text is not UTF-8, perhaps {likely}; allowed: UTF-8; write it anew with "
        f"iconv -f {likely} -t UTF-8 {path.name} > {path.stem}-utf8.csv"
    )


def _check_names(path: Path, names: list[str]) -> None:
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise DataInvalid(
                f"{path}: column {place} has no name (an index that was written along?): "
                "name it in the first line, or leave it out"
            )
        if names.count(name) > 1:
            raise DataInvalid(f"{path}: column '{name}' is given {names.count(name)} times")

"""The cells of CSV files as text: any delimiter and encoding, quoted line breaks, gzip."""

import csv
import gzip
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
from pyarrow import csv as arrow_csv

from sluice.config.reading import ReadingConfig
from sluice.errors import DataInvalid

ZIPPED = ".gz"
TABBED = ".tsv"
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte order marks, the longer ones first, and the encoding that each stands for."""
BLOCK_BYTES = 64 * 1024 * 1024
"""Longest row."""
SAMPLE_CHARACTERS = 256 * 1024
SAMPLE_ROWS = 100


def read_cells(path: Path, reading: ReadingConfig) -> pa.Table:
    """Read a CSV file, its first row as names, every cell as text; unquoted empty is null.

    Raises:
        DataInvalid: a line has too many or too few cells, a quote is never closed, or the bytes
            are of another encoding.
        ArrowInvalid: it is no CSV.
        OSError: the file cannot be read, or is no complete gzip file.
    """
    encoding = find_encoding(path, reading.encoding)
    _check_encoding(path, encoding)
    broken: list[arrow_csv.InvalidRow] = []

    def stop_at_row(row: arrow_csv.InvalidRow) -> str:
        broken.append(row)
        return "error"

    width = 0
    try:
        width = len(_read_first_row(path, encoding, reading.delimiter))
        table = _parse_cells(path, encoding, reading.delimiter, width, stop_at_row)
    except UnicodeError as error:
        raise DataInvalid(explain_encoding(path, encoding)) from error
    except pa.ArrowInvalid as error:
        if "utf8" in str(error).lower().replace("-", ""):
            raise DataInvalid(explain_encoding(path, encoding)) from error
        if not broken and "straddling" not in str(error):
            raise
        other = guess_delimiter(path, encoding) if width == 1 else reading.delimiter
        if other != reading.delimiter:
            raise DataInvalid(explain_delimiter(path, other, reading.delimiter)) from error
        _check_quotes(path, encoding, reading.delimiter)
        if not broken:
            size = f"{BLOCK_BYTES // 2**20} MiB"
            raise DataInvalid(f"{path}: found a row above {size}, allowed: {size}") from error
        line, cells = _find_ragged(path, encoding, reading.delimiter, width) or (
            broken[0].number,
            broken[0].actual_columns,
        )
        raise DataInvalid(f"{path}: line {line}: found {cells} cells, allowed: {width}") from error
    return _name_columns(table, path, encoding, reading.delimiter)


def _parse_cells(
    path: Path,
    encoding: str,
    delimiter: str,
    width: int,
    stop_at_row: Callable[[arrow_csv.InvalidRow], str],
) -> pa.Table:
    """Return all rows, the header too, every cell as text."""
    names = [f"c{place}" for place in range(width)]
    with pa.input_stream(str(path), compression=_compression_of(path)) as stream:
        return arrow_csv.read_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                column_names=names,
                block_size=BLOCK_BYTES,
                encoding="utf8" if encoding in ("utf-8", "utf-8-sig") else encoding,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=stop_at_row
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )


def find_encoding(path: Path, configured: str) -> str:
    """Return the encoding that the file's byte order mark names, else the configured one."""
    with open_bytes(path) as file:
        start = file.read(4)
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), configured)


def _check_encoding(path: Path, encoding: str) -> None:
    """Refuse bytes that the encoding would read as other signs, without an error.

    Zeros at every other place are UTF-16. Signs beyond ASCII that are UTF-8 throughout are no other
    encoding's: read as cp1252 each would be two or three signs.

    Raises:
        DataInvalid: the bytes are of another encoding.
    """
    plain = encoding.lower().replace("_", "-")
    if plain.startswith(("utf-16", "utf-32")):
        return
    with open_bytes(path) as file:
        start = file.read(4096)
    found = guess_encoding(path) if start.count(0) > len(start) // 4 else ""
    if not found and not plain.startswith("utf") and _is_utf8_beyond_ascii(path):
        found = "utf-8"
    if found:
        raise DataInvalid(
            f"{path}: found bytes that are {found}, allowed: {encoding}; next: name the encoding "
            f"with --encoding {found}, which is kept for later files"
        )


def _is_utf8_beyond_ascii(path: Path) -> bool:
    beyond = False
    try:
        with open_text(path, "utf-8", "strict") as text:
            while part := text.read(SAMPLE_CHARACTERS):
                beyond = beyond or not part.isascii()
    except UnicodeDecodeError:
        return False
    return beyond


def guess_encoding(path: Path) -> str:
    """Return UTF-8 if all bytes fit it; else what they most likely are.

    Without a byte order mark, zeros at every other place are UTF-16.
    """
    found = find_encoding(path, "")
    if found:
        return "utf-8" if found == "utf-8-sig" else found
    with open_bytes(path) as file:
        start = file.read(4096)
    zeros = [start[place::2].count(0) for place in (0, 1)]
    if sum(zeros) > len(start) // 4:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        with open_text(path, "utf-8", "strict") as text:
            while text.read(SAMPLE_CHARACTERS):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def guess_delimiter(path: Path, encoding: str) -> str:
    """Return the sign that divides the first rows into most cells, as many in each row."""
    with open_text(path, find_encoding(path, encoding)) as text:
        sample = text.read(SAMPLE_CHARACTERS)
        is_whole = not text.read(1)
    best, most = "\t" if TABBED in path.name.lower() else ",", 1
    for sign in SEPARATORS:
        rows = [len(row) for row in _split(io.StringIO(sample, newline=""), sign, SAMPLE_ROWS)]
        rows = rows if is_whole or len(rows) >= SAMPLE_ROWS else rows[:-1]
        if rows and min(rows) == max(rows) > most:
            best, most = sign, rows[0]
    if most == 1 and (first := _read_first_row(path, encoding, best)):
        # Rows of different lengths: by the header alone, so that the message names the line.
        for sign in SEPARATORS:
            cells = len(_read_first_row(path, encoding, sign))
            best, most = (sign, cells) if cells > max(most, len(first)) else (best, most)
    return best


def find_lines(path: Path, reading: ReadingConfig, rows: list[int]) -> list[int]:
    """Return the lines, counted from 1, on which rows begin; rows count from 0, in order."""
    wanted, found = iter(rows), list[int]()
    encoding = find_encoding(path, reading.encoding)
    with open_text(path, encoding) as text:
        next_row = next(wanted, None)
        for row, (line, _) in enumerate(_number_rows(text, reading.delimiter), -1):
            if next_row is None:
                break
            if row == next_row:
                found.append(line)
                next_row = next(wanted, None)
    return found


def explain_encoding(path: Path, encoding: str) -> str:
    """Return the message for bytes of another encoding, with the next step."""
    name = "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding
    likely = {"UTF-8": "cp1252 (most often, where Windows wrote it)", "cp1252": "latin-1"}
    other = likely.get(name, "utf-8")
    return (
        f"{path}: found bytes that are not {name}; allowed: {name}; "
        f"next: name the encoding with --encoding, such as {other}"
    )


def explain_delimiter(path: Path, found: str, configured: str) -> str:
    """Return the message for cells that another sign divides, with the next step."""
    shown = "tab" if found == "\t" else found
    return (
        f"{path}: line 1: cells are divided by {SEPARATORS[found]}, allowed: "
        f"{SEPARATORS.get(configured, repr(configured))}; next: give --delimiter '{shown}', "
        "which is kept for later files"
    )


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file's bytes, as they were before gzip."""
    if path.name.lower().endswith(ZIPPED):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


@contextmanager
def open_text(path: Path, encoding: str, errors: str = "replace") -> Iterator[io.TextIOWrapper]:
    """Open a file as text whose line ends are kept."""
    with (
        open_bytes(path) as file,
        io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as text,
    ):
        yield text


def _compression_of(path: Path) -> str | None:
    return "gzip" if path.name.lower().endswith(ZIPPED) else None


def _name_columns(table: pa.Table, path: Path, encoding: str, delimiter: str) -> pa.Table:
    """Return the rows below the first one, which has their names."""
    if table.num_rows == 0:
        raise DataInvalid(f"{path}: no rows, and no column names")
    names = [(column[0].as_py() or "").strip() for column in table.columns]
    last = table.slice(table.num_rows - 1)
    if any("\n" in (column[0].as_py() or "") for column in last.columns):
        _check_quotes(path, encoding, delimiter)
    return table.slice(1).rename_columns(names)


def _read_first_row(path: Path, encoding: str, delimiter: str) -> list[str]:
    with open_text(path, find_encoding(path, encoding)) as text:
        return next(iter(_split(text, delimiter, 1)), [""])


def _split(text: io.TextIOBase, delimiter: str, most: int) -> list[list[str]]:
    """Return the first rows, as many as can be read."""
    rows = list[list[str]]()
    with suppress(csv.Error):
        for _, row in _number_rows(text, delimiter):
            rows.append(row)
            if len(rows) == most:
                break
    return rows


def _number_rows(
    text: io.TextIOBase, delimiter: str, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with the line on which it begins, from 1."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(text, delimiter=delimiter, strict=strict)
    line = 1
    for row in reader:
        if row:
            yield line, row
        line = reader.line_num + 1


def _find_ragged(path: Path, encoding: str, delimiter: str, width: int) -> tuple[int, int] | None:
    """Return line and cells of the first row that is longer or shorter than the header."""
    with open_text(path, encoding) as text, suppress(csv.Error):
        for line, row in _number_rows(text, delimiter):
            if len(row) != width:
                return line, len(row)
    return None


def _check_quotes(path: Path, encoding: str, delimiter: str) -> None:
    """Refuse a file in which a quote is never closed: it hides all rows behind it."""
    line = 1
    try:
        with open_text(path, encoding) as text:
            for start, row in _number_rows(text, delimiter, strict=True):
                line = start + 1 + sum(cell.count("\n") for cell in row)
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataInvalid(
                f"{path}: line {line}: found a quote that is never closed; allowed: each quote "
                "closed, and doubled inside of a quoted cell"
            ) from error

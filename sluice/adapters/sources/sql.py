"""SQL sources: a database that is only read, and the new rows of a query's result.

The URL contains a password, so no message contains the URL or a text that repeats it.
"""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import quote

import pyarrow as pa
from sqlalchemy import Connection, CursorResult, Engine, TextClause, bindparam, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import NULLTYPE

from sluice.adapters.postgres import join_options
from sluice.config.data import SINCE, DataConfig, SqlSource
from sluice.data.batches.arrival import Delivery
from sluice.data.batches.refusal import ReadRows
from sluice.data.schema import (
    arrow_schema,
    check_columns,
    check_schema,
    convert_cells,
    convert_times,
    sift_rows,
)
from sluice.data.times import ReadTimes
from sluice.documents import parse_json
from sluice.errors import ConfigInvalid, DataInvalid, DataUnavailable, SluiceError

WAIT_SECONDS = 8
ALLOWED = "allowed: sqlite:////FOLDER/FILE.db or postgresql://USER:PASSWORD@HOST/DATABASE"
DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
SQLITE_ABOUT_THE_QUERY = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_MISMATCH}


class SqlDatabase:
    """One database; each connection is opened for one statement and is read-only."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self.url = _read_url(variable)
        self._engine = _make_engine(variable, self.url)

    def quote(self, column: str) -> str:
        """Return a column's name quoted for the database's SQL."""
        return self._engine.dialect.identifier_preparer.quote(column)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection that streams its results.

        Raises:
            DataInvalid: the database refuses the query; the message has its own words.
            DataUnavailable: the database is locked, unreachable, or refuses the connection.
        """
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(stream_results=True)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            self._explain(error)

    def _explain(self, error: Exception) -> NoReturn:
        """Raise our error with the database's message, without the URL's password.

        Raises:
            DataInvalid: the query is wrong.
            DataUnavailable: the database cannot be used.
        """
        origin = getattr(error, "orig", None) or error
        message = str(origin).strip().split("\n", maxsplit=1)[0]
        secret = self.url.password
        hidden = [item for item in (secret, quote(secret or "", safe="")) if item]
        kept = next((item for item in hidden if item in f"{error} {origin}"), "")
        for item in hidden:
            message = message.replace(item, "***")
        found: SluiceError = DataUnavailable(f"{self.variable}: the database: {message}")
        if _is_about_the_query(error, origin):
            found = DataInvalid(f"{self.variable}: the database refuses the query: {message}")
        # A chained error is printed with its text, so one that repeats the password is dropped.
        raise found from (None if kept else error)


def _is_about_the_query(error: Exception, origin: Any) -> bool:
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", None)
        return code is None or code & 0xFF in SQLITE_ABOUT_THE_QUERY
    is_connection_error = isinstance(error, OperationalError | InterfaceError | OSError)
    return not is_connection_error and not getattr(error, "connection_invalidated", False)


def _read_url(variable: str) -> URL:
    """Return the URL with the driver that we use.

    Raises:
        ConfigInvalid: the variable is not set, or has no URL of a supported database.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        raise ConfigInvalid(
            f"the environment variable {variable} is not set where this runs; it must contain "
            f"the database's URL, {ALLOWED}"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not chained: the parser repeats parts of the text.
        raise ConfigInvalid(f"{variable} contains no URL of a database; {ALLOWED}") from None
    driver = DRIVERS.get(url.drivername)
    if driver is None or not url.database or url.database == ":memory:":
        raise ConfigInvalid(f"{variable} contains a URL of '{url.drivername}'; {ALLOWED}")
    return url.set(drivername=driver)


def _make_engine(variable: str, url: URL) -> Engine:
    """Create the engine; it does not connect yet.

    Raises:
        ConfigInvalid: the driver is not installed.
    """
    if url.drivername == "sqlite":
        # Read-only, so that a missing file is an error and is not created.
        address = f"file:{quote(str(url.database))}?mode=ro"
        return create_engine(
            "sqlite://",
            poolclass=NullPool,
            creator=lambda: sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS),
        )
    bounds = {
        "connect_timeout": WAIT_SECONDS,
        "tcp_user_timeout": WAIT_SECONDS * 1000,
        "options": join_options(url, "-c default_transaction_read_only=on"),
    }
    try:
        return create_engine(url, poolclass=NullPool, connect_args=bounds)
    except ModuleNotFoundError as error:
        raise ConfigInvalid(
            f"{variable} names Postgres, whose driver is not installed; "
            "next: pip install 'psycopg[binary]'"
        ) from error


CHUNK = 20_000
LEAST: dict[str, tuple[Any, ...]] = {
    "sqlite": (-(2**63),),
    "postgresql": ("", "-infinity", -(2**63)),  # for text; times and fractions; whole numbers
}
"""Values of `:since` before the first watermark: the first that fits the column's type is used."""
ORDERED_DIGITS = re.compile(r"(19|20)\d{6}(\d{6})?")
"""Dates, and times, that are written as digits from the year on."""
UNORDERED = re.compile(
    r"[-+]?\d*\.?\d+([eE][-+]?\d+)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(\D.*)?", re.DOTALL
)
"""Text whose order is not that of its values: numbers, and dates from the day or month on."""
READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


def find_rows(source: SqlSource, previous_mark: str) -> Delivery | None:
    """Return the query's new rows as a delivery; None where there are none.

    Its mark is the highest watermark, or without one a hash of the whole result, in any order.

    Raises:
        ConfigInvalid: the variable is missing, wrong, or needs a driver that is not installed.
        DataInvalid: the database refuses the query; the watermark is null or of no orderable type.
        DataUnavailable: the database cannot be reached.
    """
    mark = _run_query(source, previous_mark, _find_highest if source.watermark else _hash_rows)
    delivery = Delivery("sql", source.url_variable, name_query(source), mark, previous_mark)
    return delivery if mark and mark != previous_mark else None


def read_rows(source: SqlSource, previous_mark: str, config: DataConfig) -> ReadRows:
    """Read the query's result, chunk by chunk, as rows of the service's schema.

    A row with a cell that is no time is refused alone.

    Raises:
        ConfigInvalid: as `find_rows`.
        DataInvalid: the database refuses the query; a column is missing, unknown or of another
            kind; a cell does not fit; an id is null or given twice; there are no rows.
        DataUnavailable: the database cannot be reached.
    """

    def read_table(result: CursorResult[Any]) -> _Converted:
        return _read_table(result, source, config)

    found: _Converted = _run_query(source, previous_mark, read_table)
    columns = {name: found.table.column(name) for name in config.columns}
    if not any(found.bad.values()):
        return ReadRows(check_schema(found.table, config, source.url_variable))
    bad = {name: pa.chunked_array(masks) for name, masks in found.bad.items()}
    shown = found.table
    for name, chunks in found.texts.items():
        place = shown.column_names.index(name)
        shown = shown.set_column(place, name, pa.chunked_array(chunks, pa.string()))
    return sift_rows(columns, bad, shown, config, source.url_variable)


def name_query(source: SqlSource) -> str:
    """Return the subject of a query's watermark; a changed query starts from the beginning."""
    message = f"{source.url_variable}\n{source.query}\n{source.watermark}"
    return f"query {hashlib.sha256(message.encode()).hexdigest()[:12]}"


def _run_query(
    source: SqlSource, previous_mark: str, read: Callable[[CursorResult[Any]], Any]
) -> Any:
    """Run the query and return its result as `read` converts it.

    Raises:
        DataInvalid: the database refuses the query.
    """
    database = SqlDatabase(source.url_variable)
    statement = source.query.strip().rstrip(";")
    if read is _find_highest:
        column = database.quote(source.watermark)
        # Qualified, because SQLite reads a quoted name that it does not know as text.
        columns = f"max(pulled.{column}), count(*)"
        statement = f"SELECT {columns} FROM (\n{statement}\n) AS pulled"  # noqa: S608
    if not source.uses_since:
        return _run(database, text(statement), read)
    candidates = (
        (_unpack(previous_mark, source),)
        if previous_mark
        else LEAST[database.url.get_backend_name()]
    )
    for value in candidates[:-1]:
        with suppress(_SinceTypeWrong):
            return _run(database, _bind(statement, value), read)
    return _run(database, _bind(statement, candidates[-1]), read)


class _SinceTypeWrong(DataInvalid):
    """The value bound to `:since` is not of its column's type."""


def _bind(statement: str, value: Any) -> TextClause:
    # Without a type, so that the database uses the column's.
    return text(statement).bindparams(bindparam(SINCE, value, type_=NULLTYPE))


def _run(
    database: SqlDatabase, statement: TextClause, read: Callable[[CursorResult[Any]], Any]
) -> Any:
    """Run one statement and read its result while the connection is open.

    Raises:
        DataInvalid: the database refuses the query.
    """
    try:
        with database.connect() as connection:
            streaming = connection.execution_options(yield_per=CHUNK)
            with closing(streaming.execute(statement)) as result:
                return read(result)
    except DataInvalid as error:
        if isinstance(error.__cause__, DataError):
            raise _SinceTypeWrong(str(error)) from error
        raise


def _find_highest(result: CursorResult[Any]) -> str:
    """Return the highest watermark with its type; empty where there is no row.

    Raises:
        DataInvalid: it is null in every row, of no supported type, or text that the database puts
            into another order than its values have.
    """
    highest, rows = result.one()
    if highest is None and rows:
        raise DataInvalid(
            f"the watermark is null in all {rows:,} rows of the query, so no row is ever new; "
            "allowed: a column that only grows; next: name another one as `watermark`, or leave "
            "it out: then the whole result is read"
        )
    if isinstance(highest, str) and _is_unordered(highest.strip()):
        raise DataInvalid(
            f"the watermark is text, such as {highest[:40]!r}, which a database compares sign by "
            "sign: '10' is before '9', and 31.12. after 01.02. of the next year; rows would be "
            "lost; next: in the query, CAST it AS INTEGER, or write dates as 2026-01-31"
        )
    return "" if highest is None else _pack(highest)


def _is_unordered(text: str) -> bool:
    return bool(UNORDERED.fullmatch(text)) and not ORDERED_DIGITS.fullmatch(text)


def _hash_rows(result: CursorResult[Any]) -> str:
    """Return a hash of all rows that ignores their order; empty where there is no row."""
    total, count = 0, 0
    for row in result:
        digest = hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16).digest()
        total = (total + int.from_bytes(digest, "big")) % 2**128
        count += 1
    return f"{count} rows {total:032x}" if count else ""


@dataclass(frozen=True, eq=False)
class _Converted:
    """A result as Arrow; for columns of times which cells are none, and all cells as text."""

    table: pa.Table
    bad: dict[str, list[pa.ChunkedArray]] = field(default_factory=dict)
    texts: dict[str, list[pa.Array]] = field(default_factory=dict)


def _read_table(result: CursorResult[Any], source: SqlSource, config: DataConfig) -> _Converted:
    """Convert the rows to Arrow, one chunk after the other.

    Raises:
        DataInvalid: a column is missing, unknown or given twice; a cell does not fit.
    """
    names = list(result.keys())
    if source.watermark and source.watermark not in names:
        raise DataInvalid(
            f"{source.url_variable}: the result has no column '{source.watermark}', the watermark; "
            f"found: {', '.join(names)}"
        )
    kept = [name for name in names if name != source.watermark or name in config.columns]
    check_columns(kept, config, source.url_variable)
    chunks: list[pa.Table] = []
    times: dict[str, list[tuple[ReadTimes, pa.Array]]] = {}
    rows = 0
    for part in result.partitions():
        cells = dict(zip(names, zip(*part, strict=True), strict=True))
        columns = {}
        for name, kind in config.columns.items():
            if kind == "timestamp":
                found, texts = convert_times(cells[name], config.reading, name)
                times.setdefault(name, []).append((found, texts))
                columns[name] = found.moments
            else:
                columns[name] = convert_cells(cells[name], name, kind, source.url_variable, rows)
        chunks.append(pa.table(columns))
        rows += len(part)
    if not chunks:
        return _Converted(arrow_schema(config).empty_table())
    converted = _Converted(pa.concat_tables(chunks))
    for name, parts in times.items():
        if any(len(texts) for _, texts in parts):
            converted.bad[name] = [chunk for found, _ in parts for chunk in found.bad.chunks]
            converted.texts[name] = [
                texts if len(texts) else found.moments.cast(pa.string()).combine_chunks()
                for found, texts in parts
            ]
    return converted


def _pack(value: Any) -> str:
    """Return a watermark as text with its type.

    Raises:
        DataInvalid: its type is not supported.
    """
    name = type(value).__name__
    if name not in READERS:
        raise DataInvalid(f"the watermark is of type {name}; allowed: {', '.join(READERS)}")
    shown = value.isoformat() if isinstance(value, date) else str(value)
    return json.dumps([name, shown])


def _unpack(mark: str, source: SqlSource) -> Any:
    """Return the watermark that `_pack` wrote.

    Raises:
        DataInvalid: the text is no watermark.
    """
    try:
        name, shown = parse_json(mark)
        return READERS[name](shown)
    except (ValueError, KeyError, TypeError) as error:
        raise DataInvalid(f"{source.url_variable}: no watermark: {mark[:80]}") from error

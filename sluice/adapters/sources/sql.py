"""SQL sources: a database that is only read, and what is new in a query's result.

The URL holds a password, so neither it nor anything that repeats it stands in a message.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
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

from sluice.config.data import SINCE, DataConfig, SqlSource
from sluice.data.arrival import Delivery
from sluice.data.schema import arrow_schema, check_columns, check_schema, convert_cells
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
    """One database; each connection stands for itself and may only read."""

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self.url = _read_url(variable)
        self._engine = _make_engine(variable, self.url)

    def quote(self, column: str) -> str:
        """Write a column's name as the database's SQL has it."""
        return self._engine.dialect.identifier_preparer.quote(column)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection that streams its results.

        Raises:
            DataInvalid: the database refuses the query; in its words.
            DataUnavailable: the database is locked, away, or refuses the connection.
        """
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(stream_results=True)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            self._explain(error)

    def _explain(self, error: Exception) -> NoReturn:
        """Raise the database's words as our error, without what the URL must keep.

        Raises:
            DataInvalid: it is about the query.
            DataUnavailable: it is about the database.
        """
        origin = getattr(error, "orig", None) or error
        words = str(origin).strip().split("\n", maxsplit=1)[0]
        secret = self.url.password
        hidden = [item for item in (secret, quote(secret or "", safe="")) if item]
        kept = next((item for item in hidden if item in f"{error} {origin}"), "")
        for item in hidden:
            words = words.replace(item, "***")
        found: SluiceError = DataUnavailable(f"{self.variable}: the database: {words}")
        if _is_about_the_query(error, origin):
            found = DataInvalid(f"{self.variable}: the database refuses the query: {words}")
        # A chained error is printed with its text, so one that repeats the password is let go.
        raise found from (None if kept else error)


def _is_about_the_query(error: Exception, origin: Any) -> bool:
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", None)
        return code is None or code & 0xFF in SQLITE_ABOUT_THE_QUERY
    away = isinstance(error, OperationalError | InterfaceError | OSError)
    return not away and not getattr(error, "connection_invalidated", False)


def _read_url(variable: str) -> URL:
    """Give the URL with the driver that we use.

    Raises:
        ConfigInvalid: the variable is not set, or holds no URL of a database that we know.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        raise ConfigInvalid(
            f"the environment variable {variable} is not set where this runs; it holds the "
            f"database's URL, {ALLOWED}"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not chained: the parser repeats parts of the text.
        raise ConfigInvalid(f"{variable} holds no database's URL; {ALLOWED}") from None
    driver = DRIVERS.get(url.drivername)
    if driver is None or not url.database or url.database == ":memory:":
        raise ConfigInvalid(f"{variable} holds a URL of '{url.drivername}'; {ALLOWED}")
    return url.set(drivername=driver)


def _make_engine(variable: str, url: URL) -> Engine:
    """Make the engine; nothing is connected yet.

    Raises:
        ConfigInvalid: the driver is not installed.
    """
    if url.drivername == "sqlite":
        # Read-only, so that a file that is not there is missed and not made.
        address = f"file:{quote(str(url.database))}?mode=ro"
        return create_engine(
            "sqlite://",
            poolclass=NullPool,
            creator=lambda: sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS),
        )
    bounds = {
        "connect_timeout": WAIT_SECONDS,
        "tcp_user_timeout": WAIT_SECONDS * 1000,
        "options": "-c default_transaction_read_only=on",
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
    "postgresql": ("", "-infinity", -(2**63)),  # of text; of times and fractions; of whole numbers
}
"""What `:since` is before anything was seen: the first that the column's type takes."""
READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


def find_rows(source: SqlSource, before: str) -> Delivery | None:
    """Tell whether the query has rows that were not seen; None where it has none.

    Its mark is the highest watermark, or without one a hash of the whole result, in any order.

    Raises:
        ConfigInvalid: the variable is missing, wrong, or asks for a driver that is not installed.
        DataInvalid: the database refuses the query; the watermark is null or of no orderable type.
        DataUnavailable: the database cannot be reached.
    """
    mark = _ask(source, before, _find_highest if source.watermark else _hash_rows)
    delivery = Delivery("sql", source.url_variable, name_query(source), mark, before)
    return delivery if mark and mark != before else None


def read_rows(source: SqlSource, before: str, config: DataConfig) -> pa.Table:
    """Read the result, chunk by chunk, as rows of the service's schema.

    Raises:
        ConfigInvalid: as `find_rows`.
        DataInvalid: the database refuses the query; a column is missing, unknown or of another
            kind; a cell does not fit; an id is null or given twice; there are no rows.
        DataUnavailable: the database cannot be reached.
    """

    def gather(result: CursorResult[Any]) -> pa.Table:
        return _gather(result, source, config)

    table: pa.Table = _ask(source, before, gather)
    return check_schema(table, config, source.url_variable)


def name_query(source: SqlSource) -> str:
    """Name what is remembered of a query; another query begins anew."""
    words = f"{source.url_variable}\n{source.query}\n{source.watermark}"
    return f"query {hashlib.sha256(words.encode()).hexdigest()[:12]}"


def _ask(source: SqlSource, before: str, read: Callable[[CursorResult[Any]], Any]) -> Any:
    """Run the query and give what `read` makes of its result.

    Raises:
        DataInvalid: the database refuses the query.
    """
    database = SqlDatabase(source.url_variable)
    statement = source.query.strip().rstrip(";")
    if read is _find_highest:
        column = database.quote(source.watermark)
        # Qualified, since SQLite takes a quoted name that it does not know for a text.
        statement = f"SELECT max(pulled.{column}) FROM (\n{statement}\n) AS pulled"  # noqa: S608
    if not source.asks_since:
        return _run(database, text(statement), read)
    candidates = (_unpack(before, source),) if before else LEAST[database.url.get_backend_name()]
    for value in candidates[:-1]:
        with suppress(_KindOfSince):
            return _run(database, _bind(statement, value), read)
    return _run(database, _bind(statement, candidates[-1]), read)


class _KindOfSince(DataInvalid):
    """The value bound to `:since` is not of its column's type."""


def _bind(statement: str, value: Any) -> TextClause:
    # Without a type of its own, so that the database gives it the column's.
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
            raise _KindOfSince(str(error)) from error
        raise


def _find_highest(result: CursorResult[Any]) -> str:
    """Give the highest watermark with its type; empty where there is no row."""
    highest = result.scalar_one()
    return "" if highest is None else _pack(highest)


def _hash_rows(result: CursorResult[Any]) -> str:
    """Give a hash of all rows that does not hang on their order; empty where there is none."""
    total, count = 0, 0
    for row in result:
        digest = hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16).digest()
        total = (total + int.from_bytes(digest, "big")) % 2**128
        count += 1
    return f"{count} rows {total:032x}" if count else ""


def _gather(result: CursorResult[Any], source: SqlSource, config: DataConfig) -> pa.Table:
    """Bring the rows to Arrow, one chunk after the other.

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
    rows = 0
    for part in result.partitions():
        cells = dict(zip(names, zip(*part, strict=True), strict=True))
        columns = {
            name: convert_cells(cells[name], name, kind, source.url_variable, rows)
            for name, kind in config.columns.items()
        }
        chunks.append(pa.table(columns))
        rows += len(part)
    return pa.concat_tables(chunks) if chunks else arrow_schema(config).empty_table()


def _pack(value: Any) -> str:
    """Write a watermark as text with its type.

    Raises:
        DataInvalid: its type has no order that we keep.
    """
    name = type(value).__name__
    if name not in READERS:
        raise DataInvalid(f"the watermark is of type {name}; allowed: {', '.join(READERS)}")
    shown = value.isoformat() if isinstance(value, date) else str(value)
    return json.dumps([name, shown])


def _unpack(mark: str, source: SqlSource) -> Any:
    """Read what `_pack` wrote.

    Raises:
        DataInvalid: it is something else.
    """
    try:
        name, shown = json.loads(mark)
        return READERS[name](shown)
    except (ValueError, KeyError, TypeError) as error:
        raise DataInvalid(f"{source.url_variable}: no watermark: {mark[:80]}") from error

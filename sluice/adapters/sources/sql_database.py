"""A database that is only read: opened by a variable's URL, its faults in our words.

The URL holds a password, so neither it nor anything that repeats it stands in a message.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

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

"""The control store's database: SQLite in WAL mode or Postgres, and its errors as ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

from sluice.adapters.postgres import join_options
from sluice.errors import ControlUnavailable, ControlUnusable, StorageFull

WAIT_SECONDS = 8
"""Longest wait for a lock or an answer; the caller retries with back-off."""
ALLOWED = "allowed: sqlite:////FOLDER/control.db or postgresql://USER@HOST/DATABASE"
DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
FULL = ("disk is full", "No space left")


def write_time(moment: datetime) -> str:
    """Return a moment as the store's columns hold it: UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class Database:
    """One database; each transaction has its own connection, so that forks share nothing."""

    def __init__(self, url: str) -> None:
        self.url = _read_url(url)
        self.engine = _make_engine(self.url)

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a server."""
        return Path(self.url.database or "") if self.url.drivername == "sqlite" else None

    @contextmanager
    def transact(self, action: str) -> Iterator[Connection]:
        """Open a serialized transaction; `action` names it in error messages.

        Raises:
            ControlUnavailable: the database is locked, damaged or does not answer.
            StorageFull: no room to write.
        """
        with translate_faults(action), self.engine.begin() as connection:
            yield connection


@contextmanager
def translate_faults(action: str) -> Iterator[None]:
    """Translate the database's errors to ours; errors of a statement are bugs and pass through.

    Raises:
        ControlUnavailable: the database is locked, damaged or does not answer.
        StorageFull: no room to write.
    """
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except (DatabaseError, sqlite3.Error, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().split("\n", maxsplit=1)[0]
        if any(text in reason for text in FULL):
            raise StorageFull(f"control store: {action}: no space left on the disk") from error
        raise ControlUnavailable(f"control store: {action}: {reason}") from error


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its key exists; return whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    kept = statement.execution_options(preserve_rowcount=True)  # Postgres drops it otherwise
    return connection.execute(kept).rowcount == 1


def _read_url(text: str) -> URL:
    """Return the address with the driver that we use.

    Raises:
        ControlUnusable: it is not the address of a supported database.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ControlUnusable(f"SLUICE_CONTROL_URL is not a database's URL; {ALLOWED}") from error
    driver = DRIVERS.get(url.drivername)
    if driver is None or not url.database or url.database == ":memory:":
        shown = url.render_as_string(hide_password=True)
        raise ControlUnusable(f"SLUICE_CONTROL_URL is '{shown}'; {ALLOWED}")
    return url.set(drivername=driver)


def _make_engine(url: URL) -> Engine:
    """Create the engine, without a connection yet.

    Raises:
        ControlUnusable: the driver is not installed.
    """
    if url.drivername == "sqlite":
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": WAIT_SECONDS})
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_at_once)
        return engine
    limits = f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout={WAIT_SECONDS}s"
    bounds = {
        "connect_timeout": WAIT_SECONDS,
        "tcp_user_timeout": WAIT_SECONDS * 1000,
        "options": join_options(url, limits),
    }
    try:
        return create_engine(url, poolclass=NullPool, connect_args=bounds)
    except ModuleNotFoundError as error:
        raise ControlUnusable(
            "SLUICE_CONTROL_URL names Postgres, whose driver is not installed; "
            "install it: pip install 'psycopg[binary]'"
        ) from error


def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins late otherwise: two readers can deadlock


def _begin_at_once(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

"""Errors of the registry, translated to this project's errors within a bounded time."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sluice.errors import ModelUntrusted, RegistryUnavailable, SluiceError, StorageFull

LOCK_SECONDS = 3
"""Longest wait for one lock of the SQLite file; the caller retries with back-off."""
TRANSIENT_CODES = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED")
FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SETTINGS = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the caller retries; MLflow's seven take minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "GIT_PYTHON_REFRESH": "quiet",
}


def import_mlflow() -> Any:
    """Import MLflow (takes seconds the first time), silent, no telemetry, with short waits."""
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    import mlflow
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        # It prints a traceback for each error that it also raises.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if not event.contains(Engine, "before_cursor_execute", _shorten_wait):
        event.listen(Engine, "before_cursor_execute", _shorten_wait, retval=True)
    return mlflow


def _shorten_wait(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    """Shorten the 20 s that MLflow waits for a locked file; MLflow has no setting for it."""
    if statement.startswith("PRAGMA busy_timeout = 20000"):
        return f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000};", parameters
    return statement, parameters


def find_database(tracking_uri: str) -> Path | None:
    """Return the file of a SQLite registry; None for any other kind."""
    return (
        Path(tracking_uri.removeprefix("sqlite:///"))
        if tracking_uri.startswith("sqlite:///")
        else None
    )


def check_database(path: Path) -> None:
    """Read the SQLite file once, because MLflow tries for 100 s to open a bad one.

    Raises:
        sqlite3.Error: the file is locked, cannot be opened, or is no database.
        OSError: its folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()


@contextmanager
def translate_faults(action: str) -> Iterator[None]:
    """Translate errors of the block into this project's errors; `action` names the step.

    Raises:
        RegistryUnavailable: the database, the server or the file system did not answer or refused.
        StorageFull: the disk is full.
        ModelUntrusted: the model contains a type that was not reviewed.
    """
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:
        chain = list(_list_causes(error))
        if any(type(cause).__name__ == "UntrustedTypesFoundException" for cause in chain):
            raise ModelUntrusted(f"{action}: {chain[-1]}") from error
        if any(_is_full(cause) for cause in chain):
            raise StorageFull(f"{action}: no space left on the disk") from error
        if any(_is_transient(cause) for cause in chain):
            raise RegistryUnavailable(f"{action}: {_first_line(chain[-1])}") from error
        raise


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        seen = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or seen or getattr(error, "orig", None)


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in FULL_NUMBERS:
        return True
    return isinstance(error, sqlite3.Error) and "disk is full" in str(error)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, OSError | sqlite3.OperationalError | sqlite3.DatabaseError):
        return True
    if getattr(error, "error_code", None) in TRANSIENT_CODES:
        return True
    return type(error).__name__ in ("OperationalError", "InterfaceError", "DisconnectionError")


def _first_line(error: BaseException) -> str:
    """Return an error's first line, because SQL with its values follows it."""
    return str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__

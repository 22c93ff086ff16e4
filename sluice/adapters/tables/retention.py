"""The file in which the log-writer keeps what will be deleted from the traffic log, and when."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sluice.adapters.storage import explain_os_error, hold_lock, write_whole
from sluice.adapters.traffic.log import measure_hours
from sluice.data.retention import Pause, Retention
from sluice.documents import read_json
from sluice.errors import DataUnavailable
from sluice.home import Home

FILE = "retention.json"
ACTS = "acts"
REMEMBERED = 100
"""Acts of people that stay on record."""
LOCK_SECONDS = 60.0


class RetentionFile:
    """The state of retention while its lock is held: one process changes it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.state = read_retention(path)
        self._acts = list(_load(path).get(ACTS, []))

    def write(self, state: Retention, act: str = "") -> None:
        """Replace the state, whole or not at all; a person's act stays on record beside it.

        Raises:
            StorageFull: the disk is full; the state before is unchanged.
            DataUnavailable: the file cannot be written.
        """
        acts = [*self._acts, *([act] if act else [])][-REMEMBERED:]
        try:
            write_whole({self._path: json.dumps({**asdict(state), ACTS: acts}, indent=1) + "\n"})
        except OSError as error:
            raise explain_os_error(error, f"{self._path}") from error
        self.state, self._acts = state, acts


def retention_path(home: Home) -> Path:
    """Return the file of a state folder."""
    return home.feedback.with_name(FILE)


@contextmanager
def open_retention(home: Home) -> Iterator[RetentionFile]:
    """Hold the state of retention alone.

    Raises:
        DataUnavailable: it cannot be read, or another process holds it.
    """
    path = retention_path(home)
    try:
        with hold_lock(path.with_suffix(".lock"), LOCK_SECONDS):
            yield RetentionFile(path)
    except TimeoutError as error:
        raise DataUnavailable(f"{error}; next: try again in a minute") from error


def read_retention(path: Path) -> Retention:
    """Return the state in a file; an empty one where there is none.

    Raises:
        DataUnavailable: the file cannot be read as one.
    """
    try:
        found = _load(path)
        if not found:
            return Retention()
        return Retention(
            newest=str(found["newest"]),
            ahead=str(found["ahead"]),
            waiting=_read_waiting(found["waiting"]),
            pause=Pause(**found["pause"]) if found["pause"] else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataUnavailable(
            f"{path}: cannot be read: {type(error).__name__}; nothing is deleted from the traffic "
            "log meanwhile; next: remove this file; each old hour then waits for a whole day again"
        ) from error


def list_tables(home: Home) -> dict[str, Path]:
    """Return the tables of the traffic log by name, such as `answers/employment`."""
    parents = [home.answers("x").parent, home.shadows("x").parent]
    tables = {
        f"{parent.name}/{path.name}": path
        for parent in parents
        if parent.is_dir()
        for path in sorted(parent.iterdir())
    }
    return {**tables, home.feedback.name: home.feedback}


def measure_tables(home: Home) -> dict[str, dict[str, int]]:
    """Return the bytes of each hour of each table.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    return {name: measure_hours(path) for name, path in list_tables(home).items()}


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return dict(read_json(path))


def _read_waiting(found: Any) -> dict[str, dict[str, float]]:
    return {
        str(table): {str(hour): float(seconds) for hour, seconds in hours.items()}
        for table, hours in found.items()
    }

"""Services with a source for the tests: configured in their own folder, with rows of real years."""

import json
import sqlite3
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.adapters.server.api import ask_server
from sluice.home import SAMPLES
from support.releases.runs import write_service
from support.servers.stack import await_answer

ROWS = 1_500
EVENT_SECONDS = 120.0
OLD = ("minimum_rows: 5000 ", "minimum_rows: 500 ")
BEGAN = {"this file": datetime(1970, 1, 1, tzinfo=UTC)}


def rows_of(year: int, rows: int = ROWS) -> pd.DataFrame:
    """Return some rows of a year's survey, always the same."""
    frame = pd.read_parquet(SAMPLES / f"acs_employment_{year}.parquet")
    return frame.sample(rows, random_state=year).reset_index(drop=True)


def configure(folder: Path, name: str, **source: Any) -> Path:
    """Write the default service's file under another name with a source."""
    changes = [OLD]
    if source:
        changes.append(("\nmodel:\n", f"\nsource: {json.dumps(source)}\n\nmodel:\n"))
    return write_service(folder, name, *changes)


def use_folder(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let services be read from another folder than the project's."""
    from sluice.config.loading import list_services, load_service

    folder.mkdir(parents=True, exist_ok=True)
    for function in (list_services, load_service):
        patch.setattr(function, "__defaults__", (folder,))


def fill_sqlite(path: Path, frame: pd.DataFrame, updated_at: str) -> None:
    """Append rows to the table `people` of a SQLite file, each with the time of its change."""
    with sqlite3.connect(path) as connection:
        frame.assign(updated_at=updated_at).to_sql(
            "people", connection, index=False, if_exists="append"
        )
    connection.close()


def forget_events() -> None:
    """Leave out of `events_of` what was sent until now: files of a process share its server."""
    BEGAN["this file"] = datetime.now(UTC)


def events_of(api: str, service: str, event: str = "data.changed") -> list[dict[str, Any]]:
    """Return a service's events since the test's file began, oldest first.

    A last event is sent after them: once the server has it, it has all of them.
    """
    from prefect.events import emit_event
    from prefect.events.worker import EventsWorker

    resource = f"sluice.service.{service}"
    last = f"test.last.{uuid.uuid4().hex}"
    emit_event(event=last, resource={"prefect.resource.id": resource})
    EventsWorker.drain_all(timeout=60)
    assert await_answer(lambda: _read_events(api, resource, last), EVENT_SECONDS)
    return _read_events(api, resource, event)


def _read_events(api: str, resource: str, event: str) -> list[dict[str, Any]]:
    wanted = {
        "filter": {
            "event": {"name": [event]},
            "resource": {"id": [resource]},
            "occurred": {"since": BEGAN["this file"].isoformat()},
            "order": "ASC",
        },
        "limit": 50,
    }
    status, found = ask_server(f"{api}/events/filter", wanted, seconds=60)
    assert status == 200
    return list(found["events"])

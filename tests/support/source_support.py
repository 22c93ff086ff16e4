"""Services with a source for the tests: configured in a folder of their own, rows of real years."""

import json
import sqlite3
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.home import SAMPLES
from support import write_service

ROWS = 1_500
OLD = ("minimum_rows: 5000 ", "minimum_rows: 500 ")


def rows_of(year: int, rows: int = ROWS) -> pd.DataFrame:
    """Some rows of a year's survey, always the same."""
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


def events_of(api: str, service: str, event: str = "data.changed") -> list[dict[str, Any]]:
    """Read a service's events back through the API, oldest first."""
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=30)
    wanted = {
        "filter": {
            "event": {"name": [event]},
            "resource": {"id": [f"sluice.service.{service}"]},
            "order": "ASC",
        },
        "limit": 50,
    }
    request = urllib.request.Request(  # noqa: S310
        f"{api}/events/filter",
        data=json.dumps(wanted).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return list(json.load(answer)["events"])

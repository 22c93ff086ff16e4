"""Every record of the state folder that is damaged counts as none, or is refused in words."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import ModelCache
from serving.routing.served import read_served
from serving.routing.watcher import read_routes
from sluice.adapters.addresses import DEFAULT_PAGE, Page, find_registry_page
from sluice.adapters.server.process import read_record
from sluice.adapters.server.record import read_stack
from sluice.adapters.tables.retention import read_retention
from sluice.errors import DataUnavailable
from sluice.home import Home
from support.documents import HOSTILE_JSON
from support.pace import slowed

SECONDS = 3.0
DEEP = b"[" * 100_000 + b"]" * 100_000
STACK = b'"prefect": "p", "mlflow": "m", "worker": "w", "log": "l", "limit": 1'
DAMAGED = {
    **{name: content for name, (content, _) in HOSTILE_JSON.items()},
    "null": b"null",
    "list": b"[1]",
    "list of lists": b"[[]]",
    "text": b'"x"',
    "another object": b'{"x": "y"}',
    "deep field in a list": b'[{"x": ' + DEEP + b"}]",
    "deep field": b'{"x": ' + DEEP + b"}",
    "infinite": b'{"pid": 1e999, "port": 1e999, %s}' % STACK,
    "huge": b'{"pid": %s, "port": 1, %s}' % (b"9" * 400, STACK),
    "wrong types": b'{"pid": [], "port": {}, "mlflow": null, "service": 1, "version": "x"}',
    "wrong parts": b'{"newest": [], "ahead": "", "waiting": [1], "pause": 7}',
}
"""Contents that no writer of ours leaves in any of the files."""
RECORDS: dict[str, tuple[Callable[[Home], Any], Any]] = {
    "server.json": (read_record, None),
    "stack.json": (read_stack, None),
    "pages.json": (find_registry_page, Page(DEFAULT_PAGE, is_served=False)),
    "routes.json": (lambda home: read_routes(home.root), []),
    "served.json": (lambda home: read_served(home.root), {}),
    "towns-1.json": (lambda home: ModelCache(home.root, None).find("towns", 1), None),
}
"""By file: what reads it, and what is read where there is none."""


@pytest.mark.parametrize("file", RECORDS)
@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_record_counts_as_none(
    file: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLUICE_MLFLOW_UI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / file).write_bytes(DAMAGED[damage])
    read, nothing = RECORDS[file]
    began = time.monotonic()
    assert read(Home(tmp_path)) == nothing
    assert time.monotonic() - began < slowed(SECONDS)


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_state_of_retention_is_refused_in_words(damage: str, tmp_path: Path) -> None:
    (tmp_path / "retention.json").write_bytes(DAMAGED[damage])
    with pytest.raises(DataUnavailable, match="nothing is deleted from the traffic log meanwhile"):
        read_retention(tmp_path / "retention.json")


def test_whole_records_are_read(tmp_path: Path) -> None:
    whole = b'{"pid": %d, "port": 4200, %s}' % (os.getpid(), STACK)
    (tmp_path / "server.json").write_bytes(whole)
    (tmp_path / "stack.json").write_bytes(whole.replace(b'"port": 4200, ', b""))
    record, stack = read_record(Home(tmp_path)), read_stack(Home(tmp_path))
    assert record is not None
    assert stack is not None
    assert (record.port, stack.mlflow) == (4200, "m")

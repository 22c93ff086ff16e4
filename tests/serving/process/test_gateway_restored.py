"""A real gateway beside a control store that is restored from an older copy."""

import os
import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluice.control.command import Author
from support.gateway.site import Running, Site, run_gateway, wait_until
from support.gateway.towns import Towns

pytestmark = [pytest.mark.slow, pytest.mark.faults]
GOOD = {"size": 1.0, "town": "ayr", "here": True}


def copy_store(source: Path, target: Path) -> None:
    """Copy a control store over another one, as a restoration of a backup does."""
    with sqlite3.connect(source) as read, sqlite3.connect(target) as write:
        read.backup(write)


def served(running: Running) -> int:
    return int(running.predict(GOOD, "towns").json["version"])


def in_conflict(state: dict[str, Any]) -> bool:
    return "an older store was restored" in str(state.get("conflict", ""))


def test_a_rollback_in_a_restored_store_is_a_conflict_until_its_word_is_accepted(
    tmp_path: Path, towns: Towns
) -> None:
    site = Site(tmp_path)
    site.serve("towns", towns.folder)
    store, copy = site.home.root / "control.db", tmp_path / "copy.db"
    copy_store(store, copy)
    for champion in (2, 1, 2):
        known = site.control.routes.follow_champion("towns", champion)
    with run_gateway(site, name="restored") as running:
        running.await_champion("towns", 2)
        copy_store(copy, store)
        site.control.routes.follow_champion("towns", 2)
        site.control.routes.follow_champion("towns", 1)  # a rollback, at an epoch that is behind
        running.await_all("towns", in_conflict)
        page = running.ask("/readyz")
        assert (page.status, page.json["store"]) == (200, "good"), "it is read, and not followed"
        assert [words for words in page.json["problems"] if "an older store was restored" in words]
        assert served(running) == 2
        victim = running.workers()[0]
        os.kill(victim, signal.SIGKILL)  # a worker that starts again agrees with the other one
        wait_until(lambda: victim not in running.workers() and len(running.workers()) == 2)
        running.await_all("towns", in_conflict)
        assert served(running) == 2
        now = datetime.now(UTC)
        author = Author("Ada", "the copy is right")
        site.control.recovery.accept("towns", known.epoch, author, now)
        running.await_champion("towns", 1)
        running.await_all("towns", lambda state: not state["conflict"])
        assert served(running) == 1
        assert running.end() == 0

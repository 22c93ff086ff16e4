"""`sluice release --ingest` releases new data once: nothing starts a second release of it."""

from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.control.cause import DATA_CHANGED
from sluice.control.watermark import GRACE
from sluice.home import Home
from support.releases.runs import run_sluice
from support.releases.sources import events_of, rows_of
from tasks.data.ingestion import VERSION

pytestmark = pytest.mark.slow
SERVICE = "employment"


def watch() -> str:
    from flows.watch import watch

    return str(watch(SERVICE, return_state=True).message)


def age_announcement(home: Home) -> None:
    """Let the newest version count as announced long ago, so that it would be told again."""
    marks = open_control(home).watermarks
    seen = marks.find(SERVICE, VERSION)
    if seen.announced is not None:
        assert marks.move(seen, seen.announce(seen.mark, seen.announced - GRACE))


def test_data_that_a_command_releases_is_announced_by_nobody_else(
    api: str, home: Home, tmp_path: Path
) -> None:
    """A gate may halt a release of so few rows: the data is handled all the same."""
    files = [tmp_path / f"{year}.parquet" for year in (2015, 2016)]
    for file in files:
        rows_of(int(file.stem)).to_parquet(file, index=False)
    ended = run_sluice("release", SERVICE, "--ingest", str(files[0]), home=home.root)
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    assert "Verdicts of employment" in ended.stdout
    (claim,) = open_control(home).causes.list_claims(SERVICE)
    assert claim.kind == DATA_CHANGED
    assert claim.is_settled
    for _ in range(2):
        assert watch() == "nothing new"
        age_announcement(home)
    assert events_of(api, SERVICE, DATA_CHANGED) == []

    from flows.ingest import ingest

    state: Any = ingest(SERVICE, str(files[1]), return_state=True)
    assert state.is_completed(), state.message
    assert watch() == "nothing new"
    told = [event["payload"] for event in events_of(api, SERVICE, DATA_CHANGED)]
    assert [item["version"] for item in told] == [1], "the contrast: an ingest alone tells it once"

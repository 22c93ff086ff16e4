"""Changes without an event are found once, for each service, even if another one has errors."""

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import write_deltalake

from sluice.adapters.control.store import Control, open_control
from sluice.adapters.tables.delta import append_batch, latest_version
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import hash_service, load_service
from sluice.control.cause import DATA_CHANGED, name_data_cause
from sluice.control.watermark import GRACE, Watermark
from sluice.home import Home
from support.releases.sources import configure, events_of, fill_sqlite, rows_of, use_folder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]
FIRST, SECOND = rows_of(2015), rows_of(2016)
VERSION = "data version"


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an own folder of services."""
    folder = tmp_path / "configs"
    use_folder(folder, monkeypatch)
    return folder


def watch_all(service: str = "all") -> Any:
    from flows.watch import watch

    return watch(service, return_state=True)


def drop_file(folder: Path, frame: pd.DataFrame, name: str) -> None:
    """Write a file that was modified a minute ago."""
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / name, index=False)
    long_ago = time.time() - 60
    os.utime(folder / name, (long_ago, long_ago))


def write_table(home: Home, service: str, tmp_path: Path) -> None:
    """Write the first version of a service's table past `ingest`."""
    config = load_service(service, "development")
    FIRST.to_parquet(tmp_path / "first.parquet", index=False)
    batch = read_batch(tmp_path / "first.parquet", config.data)
    append_batch(home.table(service), batch, {}, config.data.id)


def prepare(home: Home) -> Control:
    control = open_control(home)
    control.prepare()
    return control


def payloads(api: str, service: str) -> list[dict[str, Any]]:
    return [event["payload"] for event in events_of(api, service)]


def test_nothing_new_is_skipped_and_emits_no_event(api: str, home: Home, services: Path) -> None:
    configure(services, "empty")
    state = watch_all()
    assert (state.name, state.message) == ("Skipped", "nothing new")
    assert payloads(api, "empty") == []


def test_a_version_written_outside_is_announced_once(
    api: str, home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "outside")
    write_table(home, "outside", tmp_path)
    write_deltalake(str(home.table("outside")), SECOND, mode="append")
    state = watch_all()
    assert state.message == "outside: announced data version 1"
    assert watch_all().name == "Skipped"
    assert payloads(api, "outside") == [{"version": 1, "rows": 3000}]


def test_a_lost_event_is_emitted_again_until_a_release_handled_it(
    api: str, home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "lost")
    write_table(home, "lost", tmp_path)
    control = prepare(home)
    seen = Watermark("lost", VERSION)
    long_ago = seen.announce("v0", datetime.now(UTC) - GRACE)  # emitted, and lost
    assert control.watermarks.move(seen, long_ago)
    assert watch_all().message == "lost: announced data version 0 again"
    announced = control.watermarks.find("lost", VERSION)
    assert control.watermarks.move(announced, long_ago)
    lease = control.leases.acquire("lost", "release", "a release", 15)
    key = name_data_cause(0, hash_service(load_service("lost", "development")))
    control.causes.claim(lease, DATA_CHANGED, key, "a run")
    assert watch_all().name == "Skipped"
    assert payloads(api, "lost") == [{"version": 0, "rows": 1500}]


def test_a_dropped_file_is_ingested_once_and_announced_once(
    api: str, home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "arrived", kind="files", path=str(tmp_path / "drop"))
    drop_file(tmp_path / "drop", FIRST, "2015.parquet")
    half = tmp_path / "drop" / "half-written.csv"
    half.write_text("person_id\n", encoding="utf-8")
    soon = time.time() + 3600  # as if it were still being written at each of the watches
    os.utime(half, (soon, soon))
    state = watch_all()
    assert state.message == "arrived: rows ingested"
    assert watch_all().name == "Skipped"
    assert payloads(api, "arrived") == [{"version": 0, "rows": 1500}]


def test_rows_of_a_database_are_ingested(
    api: str, home: Home, services: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEOPLE_DATABASE", f"sqlite:///{tmp_path / 'people.db'}")
    query = "SELECT * FROM people WHERE updated_at >= :since"
    source = {"url_variable": "PEOPLE_DATABASE", "query": query, "watermark": "updated_at"}
    configure(services, "queried", kind="sql", **source)
    fill_sqlite(tmp_path / "people.db", FIRST, "2024-01-01")
    assert watch_all().message == "queried: rows ingested"
    fill_sqlite(tmp_path / "people.db", SECOND, "2024-01-02")
    assert watch_all().message == "queried: rows ingested"
    assert watch_all().name == "Skipped"
    assert [item["version"] for item in payloads(api, "queried")] == [0, 1]


def test_a_broken_service_does_not_stop_the_others(
    api: str, home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "a-wrong").write_text("service: [", encoding="utf-8")
    configure(services, "b-gone", kind="files", path=str(tmp_path / "gone"))
    configure(services, "c-halted", kind="files", path=str(tmp_path / "halted"))
    configure(services, "d-well", kind="files", path=str(tmp_path / "drop"))
    write_table(home, "b-gone", tmp_path)
    drop_file(tmp_path / "halted", FIRST.assign(education="nursery"), "bad.parquet")
    drop_file(tmp_path / "drop", FIRST, "2015.parquet")
    state = watch_all()
    assert state.is_failed()
    assert state.message.startswith("DataUnavailable: a-wrong: ConfigInvalid: ")
    assert "b-gone: DataUnavailable: source" in state.message
    assert "c-halted" not in state.message
    assert latest_version(home.table("d-well"), "d-well") == 0
    assert payloads(api, "b-gone") == [{"version": 0, "rows": 1500}]
    halted = watch_all("c-halted")
    assert halted.name == "Skipped"


def test_an_invalid_file_is_named_and_not_read_again_until_it_changes(
    home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "dropped", kind="files", path=str(tmp_path / "drop"))
    drop_file(tmp_path / "drop", FIRST.head(3).drop(columns="age"), "bad.parquet")
    state = watch_all()
    assert state.is_failed()
    assert "dropped: DataInvalid: " in state.message
    assert "column 'age' is missing" in state.message
    assert watch_all().name == "Skipped"
    drop_file(tmp_path / "drop", FIRST, "bad.parquet")
    assert watch_all().is_completed()
    assert latest_version(home.table("dropped"), "dropped") == 0


def test_only_one_of_two_watches_at_once_emits_the_event(
    api: str, home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "twice")
    write_table(home, "twice", tmp_path)
    prepare(home)
    start = threading.Barrier(2)
    ended: list[str] = []

    def run() -> None:
        start.wait()
        ended.append(watch_all().name)

    watches = [threading.Thread(target=run) for _ in range(2)]
    for item in watches:
        item.start()
    for item in watches:
        item.join()
    assert sorted(ended) == ["Completed", "Skipped"]
    assert payloads(api, "twice") == [{"version": 0, "rows": 1500}]


def test_an_unknown_service_is_refused(home: Home, services: Path) -> None:
    configure(services, "known")
    assert (
        watch_all("nobody").message == "ServiceUnknown: no service 'nobody'; known: known, or all"
    )


CHEAP = """
import sys
from flows.watch import watch
state = watch(return_state=True)
assert state.name == "Skipped", state
heavy = {"great_expectations", "mlflow", "sklearn", "pandas", "scipy"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


def test_a_watch_that_finds_nothing_imports_nothing_heavy(
    home: Home, services: Path, tmp_path: Path
) -> None:
    configure(services, "quiet", kind="files", path=str(tmp_path / "drop"))
    (tmp_path / "drop").mkdir()
    write_table(home, "quiet", tmp_path)
    control, seen = prepare(home), Watermark("quiet", VERSION)
    assert control.watermarks.move(seen, seen.settle("v0"))
    done = subprocess.run(
        [sys.executable, "-c", CHEAP],
        env={**os.environ, "SLUICE_CONFIGS": str(services)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr

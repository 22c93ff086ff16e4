"""Labelled traffic through the real flow: through the data gate, each request once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from serving.log.log_writer import LogShipper
from serving.log.records import Feedback, Record
from sluice.adapters.control.store import open_control
from sluice.adapters.tables.delta import latest_version, list_versions, read_version
from sluice.adapters.tables.quarantine import list_quarantined
from sluice.adapters.traffic.provenance import read_provenance
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home
from sluice.profile.rules import FEED, SHARE
from support.gateway.records import begin_worker, make_answer
from support.releases.own_data import CASES, OwnWorld
from support.releases.runs import logs_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]
FIRST = pd.read_csv(CASES / "11_small_increment.csv")
BATCH = pd.read_csv(CASES / "11_small_increment_batch2_150_rows.csv")
SOURCE = {"kind": "traffic", "maturity": "1 h", "batch_rows": 100}
HOUR = 3600.0


@pytest.fixture
def world(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnWorld:
    found = OwnWorld(tmp_path / "world", monkeypatch)
    found.init(CASES / "11_small_increment.csv", "y", service="small")
    file = found.configs / "small.yaml"
    values = yaml.safe_load(file.read_text()) | {"source": SOURCE}
    file.write_text(yaml.safe_dump(values))
    assert take(CASES / "11_small_increment.csv").is_completed()
    return found


def take(source: object = "") -> Any:
    from flows.ingest import ingest

    return ingest("small", str(source), return_state=True)


def log_traffic(home: Home, frame: pd.DataFrame, labels: bool = True, **inputs: Any) -> None:
    """Log an answer two hours ago for each row, and its label; `inputs` replace cells."""
    then, records = time.time() - 2 * HOUR, list[Record]()
    for row in frame.to_dict("records"):
        name, label = f"small-{row['id']}", json.dumps(row.pop("y"))
        facts: dict[str, Any] = {"service": "small", "request_id": name, "at": then}
        records.append(make_answer(0, inputs=json.dumps({**row, **inputs}).encode(), **facts))
        if labels:
            records.append(Feedback(name, then + 60, label, service="small"))
    worker = begin_worker(home.serving / "a", str(time.monotonic_ns()), segment_bytes=1 << 20)
    worker.write(records)
    worker.die()
    LogShipper(home, TrafficLogConfig()).ship(time.time(), all_of_it=True)


def rows_of(home: Home) -> list[int]:
    return [item.rows for item in list_versions(home.table("small"), "small")]


def test_labelled_traffic_is_appended_once(world: OwnWorld, home: Home) -> None:
    log_traffic(home, BATCH)
    log_traffic(home, BATCH.assign(id=BATCH["id"] + 10_000), labels=False)
    assert take().is_completed()
    assert rows_of(home) == [len(FIRST), len(FIRST) + 150]
    uri = home.table("small")
    table, _ = read_version(uri, "small", latest_version(uri, "small"))
    assert set(table.column_names) == set(FIRST.columns), "provenance is no column of the data"
    frame = table.to_pandas()[BATCH.columns]
    added = frame[frame["id"].isin(BATCH["id"])].sort_values("id").reset_index(drop=True)
    pd.testing.assert_frame_equal(added, BATCH.sort_values("id").reset_index(drop=True))
    noted = read_provenance(home.provenance("small"))
    assert noted.num_rows == 150
    assert set(noted["became"].to_pylist()) == {"row"}
    again = take()
    assert (again.name, again.message) == ("Skipped", "nothing new in the source of small")
    log_traffic(home, BATCH)
    assert take().name == "Skipped", "the same requests and labels once more"
    assert rows_of(home)[-1] == len(FIRST) + 150


def test_a_batch_of_it_may_have_any_size(world: OwnWorld, home: Home) -> None:
    """The volume rule of an older suite refuses a small file, and never labelled traffic."""
    path = world.suites / "expectations" / "small.json"
    suite = json.loads(path.read_text())
    for rule in suite["expectations"]:
        if rule["type"] == FEED:
            rule |= {"type": SHARE, "kwargs": {"minimum_share": 0.9}}
    path.write_text(json.dumps(suite))
    few = world.suites.parent / "few.csv"
    BATCH.head(20).to_csv(few, index=False)
    assert "new rows: 20 new rows, at least" in take(few).message
    log_traffic(home, BATCH.tail(30))
    assert take().is_completed()
    assert rows_of(home) == [len(FIRST), len(FIRST) + 30]


def test_watch_takes_enough_of_it(world: OwnWorld, home: Home) -> None:
    from flows.watch import watch

    log_traffic(home, BATCH.head(60))
    assert watch("small", return_state=True).message != "small: rows ingested"
    assert rows_of(home) == [len(FIRST)]
    log_traffic(home, BATCH.tail(90))
    assert "rows ingested" in str(watch("small", return_state=True).message)
    assert rows_of(home) == [len(FIRST), len(FIRST) + 150]


def test_rows_that_the_rules_refuse_are_quarantined(world: OwnWorld, home: Home) -> None:
    log_traffic(home, BATCH.head(120), x=99.0)
    assert take().message.startswith("DataRejected")
    (batch,) = list_quarantined(home.quarantine("small"))
    assert rows_of(home) == [len(FIRST)]
    assert take().name == "Skipped", "they are in quarantine, a person decides"
    log_traffic(home, BATCH.tail(30))
    assert take().is_completed()
    assert rows_of(home)[-1] == len(FIRST) + 30
    assert [item.name for item in list_quarantined(home.quarantine("small"))] == [batch.name]


def test_request_that_cannot_be_read_is_kept_and_told(world: OwnWorld, home: Home) -> None:
    log_traffic(home, BATCH.head(100))
    log_traffic(home, BATCH.tail(1), x="high")
    state = take()
    assert state.is_completed()
    assert rows_of(home)[-1] == len(FIRST) + 100
    last = BATCH["id"].iloc[-1]
    told = [line for line in logs_of(state) if "found a text, allowed: number" in line]
    assert told == [
        f"traffic of small: request small-{last}: column 'x': found a text, allowed: number, or "
        "null"
    ]
    assert len(list(home.refused_rows("small").glob("*.csv"))) == 1


KILLED = """
import os, signal, sys
from tasks.data import ingestion

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(ingestion, sys.argv[1], die)
from flows.ingest import ingest
ingest("small")
"""


@pytest.mark.faults
@pytest.mark.parametrize("moment", ["append_batch", "note_provenance", "announce_version"])
def test_kill_between_read_and_commit_loses_and_repeats_nothing(
    world: OwnWorld, home: Home, moment: str
) -> None:
    log_traffic(home, BATCH)
    environment = {
        **os.environ,
        "SLUICE_HOME": str(home.root),
        "SLUICE_CONFIGS": str(world.configs),
        "SLUICE_SUITES": str(world.suites),
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED, moment], env=environment, timeout=180, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert take().name in ("Completed", "Skipped")
    assert rows_of(home)[-1] == len(FIRST) + 150
    table, _ = read_version(
        home.table("small"), "small", latest_version(home.table("small"), "small")
    )
    assert len(set(table["id"].to_pylist())) == table.num_rows == len(FIRST) + 150
    assert read_provenance(home.provenance("small")).num_rows == 150
    assert take().name == "Skipped"
    assert open_control(home).watermarks.list_marks("small")["traffic"]

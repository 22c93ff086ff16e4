"""Each answer is in the traffic log once, with its feedback, until its retention ends."""

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from serving.log.log_writer import CLEAR_SECONDS, LogShipper, hold_alone, read_note, write_log
from serving.log.records import Feedback
from serving.log.spool import list_segments, segment_path
from serving.log.worker_runs import begin_run, settle, sum_counters
from sluice.adapters.tables.traffic import find_positions
from sluice.config.serving import TrafficLogConfig
from sluice.errors import DataUnavailable, LogBusy, StorageFull
from sluice.home import Home
from support.gateway.records import AT, Worker, begin_worker, make_answer, make_shadow

CONFIG = TrafficLogConfig(batch_rows=1000, flush_seconds=10)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def worker(home: Home) -> Iterator[Worker]:
    worker = begin_worker(home.serving / "a", segment_bytes=1 << 14)
    yield worker
    worker.die()


def read(uri: Path) -> pa.Table:
    return DeltaTable(str(uri)).to_pyarrow_table().sort_by("position")


def test_every_column_arrives(home: Home, worker: Worker) -> None:
    answer = make_answer(1, cost=0.5, reason="timeout", failed=True)
    label = '"yes"'
    known = Feedback("r1", AT, label, rating=0.5, service="employment", version=3, epoch=5)
    unknown = Feedback("nobody", AT, value=2.0)
    worker.write([answer, make_shadow(1, differs=None), known, unknown])
    assert LogShipper(home, CONFIG).ship(AT, all_of_it=True) == 4
    (row,) = read(home.answers("employment")).to_pylist()
    for name in ("request_id", "unit", "version", "arm", "place", "epoch", "reason", "cost"):
        assert row[name] == getattr(answer, name)
    assert row["inputs"] == '{"age": 40}'
    assert row["at"].timestamp() == answer.at
    assert (row["source"], row["hour"]) == ("a/w0@1", row["at"].strftime("%Y-%m-%dT%H"))
    (shadow,) = read(home.shadows("employment")).to_pylist()
    assert shadow["differs"] is None
    first, second = read(home.feedback).to_pylist()
    assert (first["label"], first["rating"], first["service"]) == ('"yes"', 0.5, "employment")
    assert (second["value"], second["service"], second["version"]) == (2.0, "", None)


def test_batch_waits_until_it_is_full_or_old(home: Home, worker: Worker) -> None:
    shipper = LogShipper(home, CONFIG)
    worker.write([make_answer(number) for number in range(10)])
    assert shipper.ship(AT) == 0
    assert shipper.ship(AT + 9) == 0
    assert shipper.ship(AT + 10) == 10
    for start in range(0, 1100, 50):
        worker.write([make_answer(number) for number in range(start, start + 50)])
    assert shipper.ship(AT + 11) == 1000
    assert shipper.ship(AT + 30) == 100
    worker.write([make_answer(1)])
    assert shipper.ship(AT + 31) == 0
    assert shipper.ship(AT - 3600) == 1, "a clock that is set back delays nothing"
    assert DeltaTable(str(home.answers("employment"))).version() == 3


def test_only_segments_that_table_and_snapshot_cover_are_removed(
    home: Home, worker: Worker
) -> None:
    shipper = LogShipper(home, CONFIG)
    for number in range(300):
        worker.write([make_answer(number)])
    shipper.ship(AT, all_of_it=True)
    shipper.clear(AT)
    assert list_segments(worker.run.folder)[0] == 0, "the counters on disk need it"
    worker.snapshot()
    shipper.clear(AT)
    assert list_segments(worker.run.folder) == [worker.spool.position.segment]


def test_dead_worker_is_settled_logged_and_cleared_after_an_hour(home: Home) -> None:
    worker = begin_worker(home.serving / "a", segment_bytes=1 << 14)
    worker.write([make_answer(number) for number in range(20)])
    worker.die()
    shipper = LogShipper(home, CONFIG)
    assert shipper.ship(AT, all_of_it=True) == 20
    written = worker.run.counters.stat().st_mtime
    shipper.clear(written + 1)
    assert list_segments(worker.run.folder) == []
    assert worker.run.read().final
    shipper.clear(written + CLEAR_SECONDS + 1)
    assert not worker.run.folder.exists()
    assert sum(item.requests for item in sum_counters(home.serving / "a").counts.values()) == 20


def test_lost_note_duplicates_nothing(home: Home, worker: Worker) -> None:
    worker.write([make_answer(number) for number in range(30)])
    assert LogShipper(home, CONFIG).ship(AT, all_of_it=True) == 30
    worker.run.logged.unlink()
    worker.write([make_answer(30), make_shadow(30)])
    LogShipper(home, CONFIG).ship(AT, all_of_it=True)
    assert read(home.answers("employment")).num_rows == 31
    assert read(home.shadows("employment")).num_rows == 1
    assert read_note(worker.run) == worker.spool.position


def test_unreachable_table_loses_nothing(home: Home, worker: Worker) -> None:
    worker.write([make_answer(number) for number in range(30)])
    shipper = LogShipper(home, CONFIG)
    folder = home.answers("employment").parent
    folder.parent.mkdir()
    folder.write_text("in the way")
    with pytest.raises(DataUnavailable, match="answers/employment"):
        shipper.ship(AT, all_of_it=True)
    shipper.clear(AT)
    folder.unlink()
    worker.write([make_answer(30)])
    shipper.ship(AT, all_of_it=True)
    assert read(home.answers("employment")).num_rows == 31


def test_full_disk_at_the_tables_loses_nothing(home: Home, worker: Worker) -> None:
    worker.write([make_answer(number) for number in range(30)])
    shipper = LogShipper(home, CONFIG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(StorageFull, match="answers/employment: not written: a limit on file"):
            shipper.ship(AT, all_of_it=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert shipper.ship(AT, all_of_it=True) == 30
    assert read(home.answers("employment")).num_rows == 30


def test_positions_are_kept_longer_than_their_commits(home: Home, worker: Worker) -> None:
    shipper = LogShipper(home, CONFIG)
    worker.write([make_answer(1, service="arrivals")])
    for number in range(23):
        worker.write([make_answer(number)])
        shipper.ship(AT, all_of_it=True)
    uri = home.answers("employment")
    assert list((uri / "_delta_log").glob("*.checkpoint.parquet"))
    found = find_positions(uri, ["a/w0@1", "a/w0@2"])
    assert found == {"a/w0@1": worker.spool.position.pack()}


def test_damaged_segment_is_named_and_the_next_one_read(
    home: Home, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    while worker.spool.position.segment == 0:
        worker.write([make_answer(1)])
    with segment_path(worker.run.folder, 0).open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff" * 9)
    with caplog.at_level(logging.ERROR):
        LogShipper(home, CONFIG).ship(AT, all_of_it=True)
    assert "00000000.spool: no whole record at offset" in caplog.text
    segments = pc.bit_wise_and(read(home.answers("employment"))["position"], 1 << 32)
    assert 1 << 32 in segments.to_pylist()


def test_old_hours_and_those_beyond_the_size_are_deleted(home: Home, worker: Worker) -> None:
    def ship(day: float, rows: int) -> None:
        for number in range(rows):
            worker.write([make_answer(0, at=AT + 86400 * day + number, inputs=bytes(range(250)))])
        shipper.ship(AT, all_of_it=True)

    shipper = LogShipper(home, CONFIG)
    for day in (0, 10, 20):
        ship(day, 20)
    now = AT + 86400 * 20 + 7200
    uri = home.answers("employment")
    assert LogShipper(home, TrafficLogConfig(retention_days=15)).prune(now) == 1
    assert read(uri).num_rows == 40
    ship(20.1, 20)
    sizes = DeltaTable(str(uri)).get_add_actions(flatten=True)
    assert sum(pa.table(sizes)["size_bytes"].to_pylist()) < 1 << 20
    small = CONFIG.model_copy(update={"retention_bytes": 5000})
    assert LogShipper(home, small).prune(now) >= 1
    left = read(uri)
    assert 0 < left.num_rows < 60
    assert min(left["at"].to_pylist()).timestamp() >= AT + 86400 * 20
    ship(20.2, 1)
    assert read(uri).num_rows == left.num_rows + 1, "positions are kept when rows are deleted"


def test_finished_hours_are_compacted(home: Home, worker: Worker) -> None:
    shipper = LogShipper(home, CONFIG)
    for number in range(4):
        worker.write([make_answer(number)])
        shipper.ship(AT, all_of_it=True)
    uri = home.answers("employment")
    assert len(DeltaTable(str(uri)).file_uris()) == 4
    assert shipper.prune(AT + 7200) == 0
    assert len(DeltaTable(str(uri)).file_uris()) == 1
    assert read(uri).num_rows == 4


def test_second_log_writer_is_refused(home: Home) -> None:
    with hold_alone(home.root), pytest.raises(LogBusy, match=r"is at work \(process \d+\); next:"):  # noqa: SIM117
        with hold_alone(home.root):
            pass
    with hold_alone(home.root):
        pass


def test_second_process_exits_with_the_code_for_bad_input(home: Home) -> None:
    environment = {**os.environ, "SLUICE_HOME": str(home.root)}
    with hold_alone(home.serving.parent / "traffic"):
        ended = subprocess.run(
            [sys.executable, "-m", "serving.log.log_writer"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 2
    assert f"LogBusy: {home.root}/traffic: a log-writer is at work (process {os.getpid()})" in (
        ended.stderr
    )


def test_shutdown_commits_the_rest(home: Home, worker: Worker) -> None:
    worker.write([make_answer(number) for number in range(5)])
    stopping = Event()
    stopping.set()
    write_log(home, "development", stopping)
    assert read(home.answers("employment")).num_rows == 5


def test_replicas_of_one_state_folder_are_logged_together(home: Home, worker: Worker) -> None:
    other = begin_worker(home.serving / "b")
    other.write([make_answer(1)])
    worker.write([make_answer(1)])
    LogShipper(home, CONFIG).ship(AT, all_of_it=True)
    rows = read(home.answers("employment"))
    assert sorted(rows["source"].to_pylist()) == ["a/w0@1", "b/w0@1"]
    assert DeltaTable(str(home.answers("employment"))).version() == 0
    other.die()


def test_run_that_never_wrote_is_no_problem(home: Home) -> None:
    run, lock = begin_run(home.serving / "a", "w0", "1")
    assert LogShipper(home, CONFIG).ship(AT, all_of_it=True) == 0
    assert lock
    assert settle(run) is None

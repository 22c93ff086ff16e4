"""Each answer is in the traffic log once, with its feedback, until its retention ends."""

import json
import logging
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from serving.log.counters import encode_snapshot
from serving.log.log_writer import CLEAR_SECONDS, LogShipper, hold_alone, read_note, write_log
from serving.log.records import Feedback
from serving.log.spool import list_segments, segment_path
from serving.log.worker_runs import begin_run, settle, sum_counters
from sluice.adapters.tables.retention import (
    measure_tables,
    open_retention,
    read_retention,
    retention_path,
)
from sluice.adapters.traffic.log import find_positions
from sluice.config.serving import TrafficLogConfig
from sluice.data.retention import WAIT_SECONDS, Pause, accept_hours, stop_deleting
from sluice.errors import DataUnavailable, LogBusy, StorageFull
from sluice.home import Home
from support.gateway.records import AT, Worker, begin_worker, make_answer, make_shadow

CONFIG = TrafficLogConfig(batch_rows=1000, flush_seconds=10)


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
    shipper.clear(AT)
    assert list_segments(worker.run.folder) == []
    assert worker.run.read().final
    shipper.clear(AT + CLEAR_SECONDS)
    assert worker.run.folder.exists()
    shipper.clear(AT + CLEAR_SECONDS + 1)
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


def test_records_behind_damage_are_logged_and_the_lost_one_is_named_once(
    home: Home, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    written = 0
    while worker.spool.position.segment == 0:
        worker.write([make_answer(written)])
        written += 1
    with segment_path(worker.run.folder, 0).open("r+b") as file:
        file.seek(1040)
        file.write(b"\xff" * 9)
    for _ in range(2):  # a log-writer that is killed reads the damage again
        with caplog.at_level(logging.ERROR):
            LogShipper(home, CONFIG).ship(AT, all_of_it=True)
        worker.run.logged.unlink()
    ids = set(read(home.answers("employment"))["request_id"].to_pylist())
    (lost,) = map(json.loads, (home.root / "traffic/lost.jsonl").read_text().splitlines())
    assert ids == {f"r{number}" for number in range(written)} - set(lost["request_ids"])
    assert (len(lost["request_ids"]), lost["records"]) == (1, 1)
    assert (lost["source"], lost["segment"]) == ("a/w0@1", "00000000.spool")
    assert f"at least 1 record lost: request ids {lost['request_ids'][0]}" in caplog.text


def test_damaged_last_segment_of_a_killed_worker_is_read_and_cleared(home: Home) -> None:
    worker = begin_worker(home.serving / "a", segment_bytes=1 << 14)
    worker.write([make_answer(number) for number in range(20)])
    worker.die()
    with segment_path(worker.run.folder, 0).open("r+b") as file:
        file.seek(200)
        file.write(b"\xff" * 9)
    shipper = LogShipper(home, CONFIG)
    assert shipper.ship(AT, all_of_it=True) == 19
    assert worker.run.read().final
    (counts,) = worker.run.read().restore().counts.values()
    assert counts.requests == 19, "counters of a settled run equal the log"
    shipper.clear(AT)
    assert list_segments(worker.run.folder) == []


def test_run_whose_last_record_is_damaged_is_cleared(home: Home) -> None:
    worker = begin_worker(home.serving / "a", segment_bytes=1 << 14)
    worker.write([make_answer(1)])
    end = worker.spool.position.offset
    worker.write([make_answer(2)])
    worker.slots.write(encode_snapshot(worker.counters, worker.spool.position, final=True))
    worker.die()
    with segment_path(worker.run.folder, 0).open("r+b") as file:
        file.seek(end + 20)
        file.write(b"\xff" * 9)
    shipper = LogShipper(home, CONFIG)
    assert shipper.ship(AT, all_of_it=True) == 1
    assert shipper.ship(AT, all_of_it=True) == 0
    shipper.clear(AT)
    assert list_segments(worker.run.folder) == []
    assert len((home.root / "traffic/lost.jsonl").read_text().splitlines()) == 1


DAY = 86400.0


def ship_days(home: Home, worker: Worker, *days: float, rows: int = 20) -> None:
    for day in days:
        for number in range(rows):
            worker.write([make_answer(0, at=AT + DAY * day + number, inputs=bytes(range(250)))])
        LogShipper(home, CONFIG).ship(AT, all_of_it=True)


def count_rows(home: Home) -> int:
    return read(home.answers("employment")).num_rows


def test_old_hours_are_deleted_after_a_day_in_which_they_can_be_kept(
    home: Home, worker: Worker
) -> None:
    ship_days(home, worker, *range(0, 21, 2))
    config = TrafficLogConfig(retention_days=15)
    now = AT + DAY * 20
    assert LogShipper(home, config).prune(now, 0) == 0
    assert LogShipper(home, config).prune(now, WAIT_SECONDS - 1) == 0
    assert count_rows(home) == 220
    assert LogShipper(home, config).prune(now, 1) == 3
    assert count_rows(home) == 160
    assert min(read(home.answers("employment"))["at"].to_pylist()).timestamp() >= AT + DAY * 5
    assert LogShipper(home, config).prune(now, WAIT_SECONDS) == 0


@pytest.mark.parametrize("asked", [False, True], ids=["no request", "requests with its time"])
def test_clock_that_is_ahead_deletes_nothing(
    home: Home, worker: Worker, asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ship_days(home, worker, 0, 1, 2)
    shipper = LogShipper(home, TrafficLogConfig(retention_days=30))
    shipper.prune(AT + DAY * 2, 600)
    if asked:
        ship_days(home, worker, 42)
    rows = count_rows(home)
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            assert shipper.prune(AT + DAY * 42, WAIT_SECONDS) == 0
    assert count_rows(home) == rows
    assert caplog.text.count("come 40.0 days after those of") == asked, "once, not at each look"


def test_records_that_a_person_accepted_make_older_ones_old(home: Home, worker: Worker) -> None:
    ship_days(home, worker, 0, 42)
    shipper = LogShipper(home, TrafficLogConfig(retention_days=30))
    shipper.prune(AT, WAIT_SECONDS)
    with open_retention(home) as file:
        hours = {hour for sizes in measure_tables(home).values() for hour in sizes}
        file.write(accept_hours(file.state, hours), "accept by Ada: a quiet month")
    assert shipper.prune(AT, 0) == 0
    assert shipper.prune(AT, WAIT_SECONDS) == 1
    assert count_rows(home) == 20


def test_deleting_that_was_undone_begins_again_only_by_a_person(home: Home, worker: Worker) -> None:
    ship_days(home, worker, *range(0, 21, 2))
    shipper = LogShipper(home, TrafficLogConfig(retention_days=15))
    shipper.prune(AT, 0)
    assert read_retention(retention_path(home)).count_waiting() == 3
    with open_retention(home) as file:
        file.write(stop_deleting(file.state, Pause("Ada", "they are needed", "now")))
    assert [shipper.prune(AT, 2 * WAIT_SECONDS) for _ in range(3)] == [0, 0, 0]
    assert count_rows(home) == 220
    with open_retention(home) as file:
        file.write(replace(file.state, pause=None))
    assert [shipper.prune(AT, 2 * WAIT_SECONDS) for _ in range(2)] == [0, 3]


def test_hours_beyond_the_size_wait_for_a_day_too(home: Home, worker: Worker) -> None:
    ship_days(home, worker, 0, 0.5, 1)
    small = CONFIG.model_copy(update={"retention_bytes": 5000})
    assert LogShipper(home, small).prune(AT, 0) == 0
    assert LogShipper(home, small).prune(AT, WAIT_SECONDS) >= 1
    left = count_rows(home)
    assert 0 < left < 60
    ship_days(home, worker, 1.1, rows=1)
    assert count_rows(home) == left + 1, "positions are kept when rows are deleted"


def test_state_of_retention_that_cannot_be_read_deletes_nothing(home: Home, worker: Worker) -> None:
    ship_days(home, worker, 0, 1)
    retention_path(home).write_text("{")
    with pytest.raises(DataUnavailable, match=r"retention.json: cannot be read: .*; next: remove"):
        LogShipper(home, CONFIG).prune(AT, WAIT_SECONDS)
    assert count_rows(home) == 40


def test_finished_hours_are_compacted(home: Home, worker: Worker) -> None:
    shipper = LogShipper(home, CONFIG)
    for number in range(4):
        worker.write([make_answer(number)])
        shipper.ship(AT, all_of_it=True)
    uri = home.answers("employment")
    assert len(DeltaTable(str(uri)).file_uris()) == 4
    assert shipper.prune(AT + 7200, 0) == 0
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

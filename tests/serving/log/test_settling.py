"""The run of a killed worker is settled: its counters equal its log exactly."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.log.counters import Counters
from serving.log.records import Record, encode_record
from serving.log.spool import build_frame, list_segments, segment_path
from serving.log.worker_runs import begin_run, list_runs, settle
from support.gateway.records import begin_worker, make_answer, records

writes = st.lists(st.lists(records, max_size=6), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(writes, st.data())
def test_counters_equal_a_log_that_is_cut_at_any_byte(
    sequence: list[list[Record]], data: st.DataObject
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        worker = begin_worker(folder, segment_bytes=2048)
        noted = data.draw(st.integers(0, len(sequence)))
        for index, write in enumerate(sequence):
            if index == noted:
                worker.snapshot()
            worker.write(write)
        covered = worker.run.read().position
        last = list_segments(worker.run.folder)[-1]
        end = worker.spool.position.offset
        first = covered.offset if covered.segment == last else 0
        cut = data.draw(st.integers(first, end))
        worker.die()
        os.truncate(segment_path(worker.run.folder, last), cut)
        expected = Counters()
        for record in keep_whole([item for write in sequence for item in write], last, cut):
            expected.apply(record)
        found = settle(worker.run)
        assert found is not None
        assert found.final
        assert found.restore().counts == expected.counts
        assert settle(worker.run) == found
    finally:
        shutil.rmtree(folder)


def keep_whole(sequence: list[Record], last: int, cut: int) -> list[Record]:
    """Return the records whose frames are whole, in the places where a reader finds them."""
    kept, segment, used = [], 0, 0
    for record in sequence:
        size = len(build_frame(encode_record(record)))
        if used + size > 2048:
            segment, used = segment + 1, 0
        used += size
        if segment < last or used <= cut:
            kept.append(record)
    return kept


def test_torn_bytes_behind_the_last_record_are_cut(tmp_path: Path) -> None:
    worker = begin_worker(tmp_path)
    worker.write([make_answer(1)])
    worker.die()
    torn = build_frame(encode_record(make_answer(2)))[:-3]
    path = segment_path(worker.run.folder, 0)
    with path.open("r+b") as file:
        file.seek(worker.spool.position.offset)
        file.write(torn)
    found = settle(worker.run)
    assert found is not None
    assert sum(counts.requests for counts in found.restore().counts.values()) == 1
    assert path.stat().st_size == worker.spool.position.offset


def test_running_worker_is_not_settled(tmp_path: Path) -> None:
    worker = begin_worker(tmp_path)
    worker.write([make_answer(1)])
    assert settle(worker.run) is None
    worker.die()
    assert settle(worker.run) is not None


def test_torn_snapshot_leaves_the_one_before(tmp_path: Path) -> None:
    worker = begin_worker(tmp_path)
    worker.write([make_answer(1)])
    worker.snapshot()
    before = worker.run.read()
    worker.write([make_answer(2)])
    worker.snapshot()
    data = bytearray(worker.run.counters.read_bytes())
    newest = 0 if worker.slots._sequence % 2 == 0 else len(data) // 2
    data[newest + 40] ^= 0xFF
    worker.run.counters.write_bytes(data)
    assert worker.run.read() == before
    worker.die()
    found = settle(worker.run)
    assert found is not None
    assert found.restore().counts == worker.counters.counts


def test_snapshots_outgrow_their_file(tmp_path: Path) -> None:
    worker = begin_worker(tmp_path, segment_bytes=1 << 22)
    for number in range(3000):
        worker.write([make_answer(number, arm_version=number)])
        if number % 500 == 0:
            worker.snapshot()
    worker.snapshot()
    assert worker.run.read().restore().counts == worker.counters.counts
    worker.die()


def test_two_runs_of_one_stamp_are_refused(tmp_path: Path) -> None:
    begin_run(tmp_path, "w0", "1")
    with pytest.raises(FileExistsError, match="had a run with this stamp"):
        begin_run(tmp_path, "w0", "1")


def test_runs_are_distinguished_by_their_start_stamp(tmp_path: Path) -> None:
    begin_run(tmp_path, "w0", "1")
    begin_run(tmp_path, "w0", "2")
    assert [(run.name, run.started) for run in list_runs(tmp_path)] == [
        ("w0@1", "1"),
        ("w0@2", "2"),
    ]

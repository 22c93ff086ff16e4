"""Sums over worker runs only grow, also when runs are cleared."""

import shutil
from pathlib import Path

import msgspec
import pytest

from serving.log.counters import Slots, read_slots
from serving.log.worker_runs import (
    RUNS_FOLDER,
    clear_run,
    export_runs,
    read_cleared,
    settle,
    sum_counters,
)
from sluice.rollout.collection import build_readings, take_block
from support.gateway.records import Worker, begin_worker, make_answer


def requests_of(replica: Path) -> int:
    return sum(counts.requests for counts in sum_counters(replica).counts.values())


def end(worker: Worker) -> None:
    worker.die()
    assert settle(worker.run)


def test_sum_goes_on_over_a_restart_and_a_clearing(tmp_path: Path) -> None:
    first = begin_worker(tmp_path, "1")
    first.write([make_answer(number) for number in range(5)])
    end(first)
    second = begin_worker(tmp_path, "2")
    second.write([make_answer(number) for number in range(3)])
    second.snapshot()
    assert requests_of(tmp_path) == 8
    clear_run(tmp_path, first.run)
    assert not first.run.folder.exists()
    assert requests_of(tmp_path) == 8
    end(second)
    clear_run(tmp_path, second.run)
    assert requests_of(tmp_path) == 8


def test_kill_while_a_run_is_cleared_changes_no_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = begin_worker(tmp_path)
    worker.write([make_answer(1)])
    end(worker)
    with monkeypatch.context() as patch:
        patch.setattr("serving.log.worker_runs.shutil.rmtree", lambda *_, **__: None)
        clear_run(tmp_path, worker.run)
    assert worker.run.folder.exists()
    assert requests_of(tmp_path) == 1
    clear_run(tmp_path, worker.run)
    assert requests_of(tmp_path) == 1
    assert read_cleared(tmp_path).runs == ["w0@1"]


def test_names_of_cleared_runs_are_not_kept_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.log.worker_runs.REMEMBERED", 2)
    for number in range(4):
        worker = begin_worker(tmp_path, str(number))
        end(worker)
        clear_run(tmp_path, worker.run)
    assert read_cleared(tmp_path).runs == ["w0@2", "w0@3"]


def test_run_that_is_not_settled_is_not_cleared(tmp_path: Path) -> None:
    worker = begin_worker(tmp_path)
    with pytest.raises(ValueError, match="w0@1: is not settled"):
        clear_run(tmp_path, worker.run)
    worker.die()


def test_controller_sees_each_request_in_one_block_over_a_death(tmp_path: Path) -> None:
    first = begin_worker(tmp_path, "1")
    first.write([make_answer(number) for number in range(5)])
    first.snapshot()
    before = build_readings(export_runs(tmp_path), "employment", 5)
    first.write([make_answer(number) for number in range(4)])
    end(first)
    second = begin_worker(tmp_path, "2")
    second.write([make_answer(number) for number in range(3)])
    second.snapshot()
    _, champion = take_block(before, build_readings(export_runs(tmp_path), "employment", 5))
    assert champion.requests == 4 + 3
    second.die()
    shutil.rmtree(tmp_path / RUNS_FOLDER)
    assert export_runs(tmp_path) == []


def test_sum_that_an_older_gateway_wrote_is_still_read(tmp_path: Path) -> None:
    worker = begin_worker(tmp_path)
    worker.write([make_answer(1)])
    end(worker)
    clear_run(tmp_path, worker.run)
    written = read_slots(tmp_path / "past")
    assert written is not None
    entries = msgspec.msgpack.decode(written)["entries"]
    slots = Slots(tmp_path / "past")
    slots.write(msgspec.msgpack.encode({"lives": ["w0@0"], "entries": entries}))
    slots.close()
    assert read_cleared(tmp_path).runs == ["w0@0"]
    assert requests_of(tmp_path) == 1

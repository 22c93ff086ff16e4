"""kill -9 of a worker or of the log-writer, at any point: no record is lost or duplicated."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from serving.log.records import Feedback
from serving.log.worker_runs import RUNS_FOLDER, sum_counters
from sluice.home import Home
from support.gateway.records import AT, begin_worker, make_answer, make_shadow

pytestmark = [pytest.mark.slow, pytest.mark.faults]
PATIENCE = 120

SHIPPING = """
import os, signal, sys, threading
from pathlib import Path
import deltalake, pyarrow.dataset
import serving.log.log_writer as shipping
from sluice.config.serving import TrafficLogConfig
from sluice.home import Home

def arm(name, moment, call):
    original, calls = getattr(shipping, name), []
    def wrapped(*given, **named):
        calls.append(1)
        if len(calls) == call and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if len(calls) == call and moment.startswith("in "):
            threading.Timer(float(moment[3:]), os.kill, (os.getpid(), signal.SIGKILL)).start()
        result = original(*given, **named)
        if len(calls) == call and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(shipping, name, wrapped)

def ship(home, now):
    shipper = shipping.LogShipper(home, TrafficLogConfig(batch_rows=1000))
    shipper.ship(now, all_of_it=True)
    shipper.clear(0)
    shipper.clear(1e6)

for line in sys.stdin:
    folder, name, moment, call = line.strip().split("|")
    home = Home(Path(folder))
    child = os.fork()
    if not child:
        arm(name, moment, int(call))
        ship(home, float(sys.argv[1]))
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
    child = os.fork()
    if not child:
        ship(home, float(sys.argv[1]))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
POINTS = [
    ("append_records", "before", 1),
    ("append_records", "after", 1),
    ("append_records", "after", 2),
    ("append_records", "after", 4),
    ("append_records", "in 0.002", 1),
    ("append_records", "in 0.006", 2),
    ("append_records", "in 0.012", 4),
    ("settle", "after", 1),
    ("write_note", "before", 1),
    ("write_note", "after", 1),
    ("write_note", "after", 2),
    ("segment_path", "before", 2),
    ("clear_run", "before", 1),
    ("clear_run", "after", 1),
]
WRITING = """
import asyncio, sys
from pathlib import Path
from serving.log.request_log import RequestLog
from sluice.config.serving import TrafficLogConfig
from support.gateway.records import AT, make_answer

async def answer_for_ever():
    config = TrafficLogConfig(segment_bytes=1 << 20, remembered_answers=1000)
    log = RequestLog(Path(sys.argv[1]), "w0", sys.argv[2], config)
    number = 0
    while True:
        batch = [make_answer(0, request_id=f"{sys.argv[2]}-{number + i}", inputs=bytes(200))
                 for i in range(20)]
        await asyncio.gather(*[log.record(item) for item in batch])
        print(*[item.request_id for item in batch], flush=True)
        number += 20

asyncio.run(answer_for_ever())
"""


def read_ids(uri: Path) -> list[str]:
    table = pa.table(DeltaTable(str(uri)).to_pyarrow_table())
    return list(table["request_id"].to_pylist())


def test_log_writer_killed_anywhere_logs_each_record_once(tmp_path: Path) -> None:
    homes = [Home(tmp_path / str(number)) for number in range(len(POINTS))]
    for home in homes:
        worker = begin_worker(home.serving / "a", segment_bytes=1 << 16)
        for start in range(0, 1400, 20):
            worker.write([make_answer(number) for number in range(start, start + 20)])
            worker.write([make_shadow(start), Feedback(f"r{start}", AT, rating=1.0)])
        worker.die()
    orders = [
        "|".join([str(home.root), *map(str, point)])
        for home, point in zip(homes, POINTS, strict=True)
    ]
    done = subprocess.run(
        [sys.executable, "-c", SHIPPING, str(AT)],
        input="\n".join(orders),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = [int(line) for line in done.stdout.split()]
    timed = [point[1].startswith("in ") for point in POINTS]
    assert all(end == signal.SIGKILL or late for end, late in zip(ends, timed, strict=True)), ends
    for home, point in zip(homes, POINTS, strict=True):
        ids = read_ids(home.answers("employment"))
        assert len(ids) == len(set(ids)) == 1400, point
        assert len(read_ids(home.shadows("employment"))) == 70, point
        assert len(read_ids(home.feedback)) == 70, point
        counts = sum_counters(home.serving / "a").counts.values()
        assert sum(item.requests for item in counts) == 1470, point
        assert not any((home.serving / "a" / RUNS_FOLDER).iterdir()), point


def test_workers_and_log_writer_killed_under_load_lose_and_duplicate_nothing(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path / "home")
    replica = home.serving / "a"
    environment = {**os.environ, "SLUICE_HOME": str(home.root), "SLUICE_ENV": "development"}
    logged: list[str] = []
    for started in ("1", "2", "3"):
        with start([sys.executable, "-m", "serving.log.log_writer"], environment) as writer:
            with start(
                [sys.executable, "-c", WRITING, str(replica), started], environment
            ) as worker:
                assert worker.stdout is not None
                while len(logged) < 6000 * int(started):  # more than a batch
                    line = worker.stdout.readline()
                    assert line, "the worker ended by itself"
                    logged += line.split()
                worker.kill()
                lines = worker.stdout.read().split("\n")
                logged += [name for line in lines[:-1] for name in line.split()]
            wait_for_table(home)
            writer.kill()
    with start([sys.executable, "-m", "serving.log.log_writer"], environment) as writer:
        lock = home.root / "traffic" / "log-writer.lock"
        wait_until(lambda: lock.read_text() == str(writer.pid))
        writer.send_signal(signal.SIGTERM)
        assert writer.wait(PATIENCE) == 0
    ids = read_ids(home.answers("employment"))
    assert len(ids) == len(set(ids))
    assert set(logged) <= set(ids)
    counts = sum_counters(replica).counts.values()
    assert sum(item.requests for item in counts) == len(ids)


def start(command: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )


def wait_for_table(home: Home) -> None:
    wait_until((home.answers("employment") / "_delta_log").is_dir)


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)

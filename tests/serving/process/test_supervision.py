"""The supervisor: its death is no outage, its successor adopts the workers, none hangs for long."""

import http.client
import os
import signal
import socket
import time
from pathlib import Path

import pytest
import yaml

from serving.process.supervisor import BUSY, refuse_callers
from support.gateway.callers import run_load
from support.gateway.proofs import check_log
from support.gateway.site import (
    SETTINGS,
    Running,
    Site,
    is_spare,
    read_command,
    run_gateway,
    wait_until,
)
from support.gateway.towns import Towns
from support.pace import slowed, slowed_processor

GOOD = {"size": 1.0, "town": "ayr", "here": True}
STILL = {"worker_seconds": 2, "fetcher_seconds": 2, "log_writer_seconds": 2}


@pytest.fixture
def small(tmp_path: Path, towns: Towns) -> Site:
    site = Site(tmp_path / ("a folder whose name is long " * 4), watchdog=STILL)
    site.serve("towns", towns.folder)
    return site


def kill_supervisor(running: Running) -> None:
    running.process.kill()
    running.process.wait()


def read_seconds(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def find_process(running: Running, module: bytes) -> int:
    """Return the one process of a module; 0 while there is none."""
    found = [
        pid
        for pid in running.children()
        if module in read_command(pid).split(b"\0") and not is_spare(pid)
    ]
    return found[0] if found else 0


@pytest.mark.slow
def test_a_cold_start_costs_at_most_five_seconds_of_processor_time(small: Site) -> None:
    with run_gateway(small, "--workers", "2") as running:
        wait_until(lambda: find_process(running, b"serving.log.log_writer"))
        running.await_champion("towns")
        spent = {pid: read_seconds(pid) for pid in (running.process.pid, *running.children())}
        assert sum(spent.values()) < slowed_processor(5), spent
        assert running.end() == 0


@pytest.mark.slow
@pytest.mark.faults
def test_callers_notice_nothing_when_the_supervisor_is_killed_and_another_takes_over(
    small: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_gateway(small) as running:
        with run_load([running.port], "towns") as load:
            wait_until(lambda: len(load.replies) > 100)
            before = running.workers()
            assert len(before) == 2
            kill_supervisor(running)
            seen = len(load.replies)
            wait_until(lambda: len(load.replies) > seen + 300)
            assert running.workers() == before, "workers outlive their supervisor"
            running.restart()
            wait_until(lambda: "worker w1 (process" in capfd.readouterr().err)
            seen = len(load.replies)
            wait_until(lambda: len(load.replies) > seen + 300)
            assert running.workers() == before, "its successor adopts them"
            assert load.broken == load.refused == 0
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: before[0] not in running.workers() and len(running.workers()) == 2)
            seen = len(load.replies)
            wait_until(lambda: len(load.replies) > seen + 300)
            assert load.refused == 0
        assert load.statuses == {200}
        assert running.end() == 0
        assert running.workers() == [], "its successor ends them, too"
        check_log(running, load, "towns")


@pytest.mark.slow
@pytest.mark.faults
def test_workers_with_other_settings_are_replaced_without_a_refused_caller(small: Site) -> None:
    with run_gateway(small) as running:
        with run_load([running.port], "towns") as load:
            wait_until(lambda: len(load.replies) > 100)
            before = set(running.workers())
            kill_supervisor(running)
            settings = {**SETTINGS, "watchdog": STILL, "access_log": {"level": "off"}}
            (small.configs / "gateway" / "gateway.yaml").write_text(yaml.safe_dump(settings))
            running.restart()
            wait_until(lambda: len(set(running.workers()) - before) == 2)
            wait_until(lambda: not before & set(running.workers()))
            seen = len(load.replies)
            wait_until(lambda: len(load.replies) > seen + 100)
        assert load.statuses <= {200, 503}
        assert load.refused == 0, "the port was never given up"
        assert running.end() == 0
        check_log(running, load, "towns")


@pytest.mark.slow
@pytest.mark.faults
def test_a_process_that_hangs_is_ended_and_started_again_and_the_log_says_so(
    small: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    said = ""
    with run_gateway(small, "--workers", "2") as running:
        for module, name in (
            (b"serving.process.worker", "worker w"),
            (b"serving.process.fetcher", "the fetcher"),
            (b"serving.log.log_writer", "the log-writer"),
        ):
            wait_until(lambda part=module: find_process(running, part))
            time.sleep(1)  # it has begun to beat
            hung = find_process(running, module)
            os.kill(hung, signal.SIGSTOP)
            began = time.monotonic()
            wait_until(lambda pid=hung: pid not in running.children())
            assert time.monotonic() - began < slowed(15)
            wait_until(lambda part=module: find_process(running, part))
            said += capfd.readouterr().err
            assert f"{name}" in said
            assert f"(process {hung}) has not moved for 2 s, limit 2 s, and is ended" in said
        running.await_champion("towns")
        assert running.predict(GOOD).status == 200
        assert running.end() == 0


@pytest.mark.slow
@pytest.mark.faults
def test_while_no_worker_can_start_callers_are_refused_and_wait_for_nothing(small: Site) -> None:
    with run_gateway(small, "--workers", "1") as running:
        running.await_champion("towns")
        (small.configs / "gateway" / "gateway.yaml").write_text("workers: many")
        os.kill(running.workers()[0], signal.SIGKILL)

        def is_refused() -> bool:
            try:
                return running.ask("/healthz", seconds=5).status == 503
            except (OSError, http.client.HTTPException):
                return False

        wait_until(is_refused, 40)
        began = time.monotonic()
        assert running.ask("/healthz", seconds=5).text == BUSY
        assert time.monotonic() - began < slowed(2)
        assert running.end() == 0


def test_callers_are_refused_at_once_while_no_worker_answers() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        address = listener.getsockname()
        assert refuse_callers(listener) == 0
        with (
            socket.create_connection(address) as first,
            socket.create_connection(address) as second,
        ):
            first.sendall(b"POST /v1/models/a:predict HTTP/1.1\r\nhost: x\r\n\r\n")
            wait_until(lambda: refuse_callers(listener) or True)
            first.settimeout(10)
            answer = b""
            while part := first.recv(1000):
                answer += part
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in answer
            assert answer.endswith(BUSY)
            assert second.recv(100).startswith(b"HTTP/1.1 503 ")

"""The spare takes the place of a worker that dies; its own faults cost callers nothing."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.gateway.callers import run_load
from support.gateway.proofs import check_table
from support.gateway.site import Running, Site, read_process, run_gateway, wait_until
from support.gateway.towns import Towns

pytestmark = [pytest.mark.slow, pytest.mark.faults]
GOOD = {"size": 1.0, "town": "ayr", "here": True}
STILL = {"worker_seconds": 4}


@contextmanager
def run_spared(folder: Path, towns: Towns) -> Iterator[Running]:
    """Run a replica of two workers whose spare is ready; it leaves no process."""
    site = Site(folder, watchdog=STILL)
    site.serve("towns", towns.folder)
    with run_gateway(site, "--workers", "2") as running:
        await_spare(running)
        yield running
        assert running.end() == 0
        assert running.children() == []


def await_spare(running: Running) -> int:
    """Wait until the spare has imported everything, and return its process."""
    wait_until(
        lambda: [read_process(pid, "comm") for pid in running.spares()] == [b"sluice-spare\n"]
    )
    return running.spares()[0]


def await_log(capfd: pytest.CaptureFixture[str], words: str) -> None:
    """Wait until the replica's log says something that it has not said before this call."""
    found = []

    def is_said() -> bool:
        found.append(capfd.readouterr().err)
        return words in "".join(found)

    wait_until(is_said)


def test_it_takes_the_place_of_a_worker_that_dies_and_another_spare_follows(
    tmp_path: Path, towns: Towns, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_spared(tmp_path, towns) as running:
        with run_load([running.port], "towns") as load:
            for _ in range(3):
                spare, before = await_spare(running), running.workers()
                os.kill(before[0], signal.SIGKILL)
                wait_until(lambda pid=spare: pid in running.workers(), 5)
                assert sorted(running.workers()) == sorted([before[1], spare])
                seen = len(load.replies)
                wait_until(lambda seen=seen: len(load.replies) > seen + 100)
                await_log(capfd, f"process {spare}, which was the spare")
        assert load.statuses == {200}
        assert running.end() == 0
        assert check_table(running, load, "towns", time.time()) >= len(load.ids)


def test_it_ends_with_a_killed_supervisor_and_the_next_one_has_its_own(
    tmp_path: Path, towns: Towns
) -> None:
    with run_spared(tmp_path, towns) as running:
        before, workers = await_spare(running), running.workers()
        running.process.kill()
        running.process.wait()
        wait_until(lambda: before not in running.children(), 10)
        assert running.workers() == workers
        running.restart()
        assert await_spare(running) != before
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len(running.workers()) == 2 and workers[0] not in running.workers(), 5)
        running.await_ready()
        assert running.predict(GOOD).status == 200


def test_one_that_dies_is_replaced(tmp_path: Path, towns: Towns) -> None:
    with run_spared(tmp_path, towns) as running:
        for _ in range(3):
            before = await_spare(running)
            os.kill(before, signal.SIGKILL)
            wait_until(lambda pid=before: pid not in running.children())
        await_spare(running)


def test_one_that_hangs_takes_no_place_and_is_ended(
    tmp_path: Path, towns: Towns, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_spared(tmp_path, towns) as running:
        hung, workers = await_spare(running), running.workers()
        os.kill(hung, signal.SIGSTOP)
        time.sleep(2.5)  # longer than a spare that is ready keeps still
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: len(running.workers()) == 2 and workers[0] not in running.workers())
        assert hung not in running.workers()
        wait_until(lambda: hung not in running.children())
        await_spare(running)
        await_log(capfd, f"the spare worker (process {hung}) has not moved")


def test_without_one_a_worker_that_dies_is_started_anew(tmp_path: Path, towns: Towns) -> None:
    site = Site(tmp_path, spare_worker=False)
    site.serve("towns", towns.folder)
    with run_gateway(site, "--workers", "1") as running:
        running.await_champion("towns")
        first = running.workers()
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: len(running.workers()) == 1 and running.workers() != first)
        running.await_ready()
        assert running.spares() == []
        assert running.end() == 0

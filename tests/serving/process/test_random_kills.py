"""kill -9 of any process of a replica at random, its supervisor included, under load."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.gateway.callers import run_load
from support.gateway.proofs import check_table
from support.gateway.site import Running, Site, run_gateway, wait_until
from support.gateway.towns import Towns

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.alone]
KILLS, PAUSE = 15, 3.0
WAIT_SECONDS = 2.0
"""How long a caller may wait for an answer after a kill."""


@contextmanager
def kept_running(running: Running) -> Iterator[None]:
    """Start the supervisor again whenever it has ended, as a service manager does."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(0.1):
            if running.process.poll() is not None:
                running.restart()

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_kills_at_random_lose_no_answer_and_callers_soon_find_one_again(
    tmp_path: Path, towns: Towns
) -> None:
    draw = random.Random(7)  # noqa: S311 - no secret hangs on it
    site = Site(tmp_path)
    site.serve("towns", towns.folder)
    waits: list[float] = []
    with run_gateway(site, "--workers", "2") as running:
        with kept_running(running), run_load([running.port], "towns", pause=0.01) as load:
            wait_until(lambda: len(load.replies) > 100)
            for _ in range(KILLS):
                victim = draw.choice([running.process.pid, *running.children()])
                killed = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                time.sleep(PAUSE)
                waits.append(load.find_longest_wait(killed))
            wait_until(lambda: len(running.workers()) == 2)
        assert load.statuses <= {200, 503}
        assert max(waits) < WAIT_SECONDS, waits
        assert running.end() == 0
        assert check_table(running, load, "towns", time.time()) >= len(load.ids)

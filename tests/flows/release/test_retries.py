"""Infrastructure errors during a release, and its retries."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from demo.faults import leak_target
from sluice.config.loading import load_service
from sluice.home import SAMPLES, Home
from support.releases.runs import gate_runs_of, logs_of, states_of, task_runs_of

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.usefixtures("api")]

RESCUE = "the retry saved this run"
LOCKED_SECONDS, BRIEF_SECONDS, UNREADABLE_SECONDS = 15.0, 8.0, 5.0
FIND_SECONDS = 60.0
# Root reads every folder. These are CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH; the number before
# them is PR_CAPBSET_DROP: a program started from here on has no such right.
LAUNCH = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in (1, 2):
    if os.geteuid() == 0 and libc.prctl(24, capability, 0, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def count_runs(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        found = connection.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()
    return int(found[0])


@contextmanager
def lock_registry(home: Home, seconds: float) -> Iterator[list[float]]:
    """Lock the registry's database for some seconds after a release opens its run.

    Yields the times at which it was locked and released.
    """
    database = home.mlflow / "mlflow.db"
    times: list[float] = []

    def hold() -> None:
        deadline = time.monotonic() + FIND_SECONDS
        while count_runs(database) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        connection = sqlite3.connect(database, timeout=10, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        times.append(time.monotonic())
        time.sleep(seconds)
        connection.execute("ROLLBACK")
        connection.close()
        times.append(time.monotonic())

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield times
    finally:
        holder.join()


def rescued_tasks(state: Any) -> set[str]:
    """Return the tasks that a retry saved, according to the run's log."""
    return {line.partition(": ")[0] for line in logs_of(state) if RESCUE in line}


def test_release_outlives_a_locked_registry(begun: Home) -> None:
    from flows.release import release

    with lock_registry(begun, LOCKED_SECONDS) as times:
        state = release("employment", cause="locked", return_state=True)
        ended = time.monotonic()
    assert state.is_completed(), state.message
    assert times[1] - times[0] >= LOCKED_SECONDS
    assert ended > times[1]
    retried = {run.name for run in task_runs_of(state) if run.run_count > 1}
    assert retried
    assert retried == rescued_tasks(state)
    assert {run.run_count for run in gate_runs_of(state).values()} == {1}


@contextmanager
def start_release(home: Home) -> Iterator["subprocess.Popen[str]"]:
    """Start a release on the command line, without root's right to read every folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, "-m", "cli", "release", "employment"],
        env={**os.environ, "SLUICE_HOME": str(home.root), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def follow(process: "subprocess.Popen[str]", react: Callable[[str], None]) -> list[str]:
    """Read a process's lines to its end, and pass each one to `react`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        react(lines[-1])
    process.wait(timeout=30)
    return lines


def test_release_outlives_an_unreadable_table(begun: Home) -> None:
    table = begun.table("employment")
    mode = table.stat().st_mode
    restorers: list[threading.Timer] = []

    def close_folder(line: str) -> None:
        if " of employment: data version " in line:
            table.chmod(0)
        elif "Permission denied" in line and not restorers:
            restorers.append(threading.Timer(UNREADABLE_SECONDS, table.chmod, (mode,)))
            restorers[0].start()

    try:
        with start_release(begun) as process:
            lines = follow(process, close_folder)
    finally:
        for restorer in restorers:
            restorer.join()
        table.chmod(mode)
    output = "\n".join(lines)
    assert restorers, output
    assert process.returncode == 0, output
    assert RESCUE in output
    assert "cannot be reached: Permission denied" in output
    assert "Traceback" not in output


def append_leaky_year(home: Home) -> None:
    from sluice.adapters.tables.delta import append_batch
    from sluice.adapters.tables.files import read_batch

    config = load_service("employment", "development")
    clean = pd.read_parquet(SAMPLES / "acs_employment_2017.parquet")
    path = home.root / "leaky.parquet"
    leak_target(clean, config, 1).to_parquet(path, index=False)
    append_batch(home.table("employment"), read_batch(path, config.data), {}, config.data.id)


def test_gate_fails_once_though_the_release_was_retried(begun: Home) -> None:
    from flows.release import release

    append_leaky_year(begun)
    with lock_registry(begun, BRIEF_SECONDS):
        state = release("employment", cause="leaky", return_state=True)
    assert state.message.startswith("DataRejected: target leakage of ancestry")
    assert rescued_tasks(state)
    gates = gate_runs_of(state)
    assert list(gates) == ["data"]
    assert gates["data"].run_count == 1
    assert states_of(gates["data"]) == ["Pending", "Running", "Failed"]

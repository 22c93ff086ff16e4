"""Two releases of one service never run beside each other, whatever becomes of the first."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.home import Home
from support import describe_state, logs_of
from tasks.control import TTL_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]


@contextmanager
def start_release(home: Home, cause: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "release", "employment", "--cause", cause],
        env={**os.environ, "SLUICE_HOME": str(home.root), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return
    pytest.fail("".join(lines))


def spans_of(home: Home) -> list[tuple[float, float]]:
    """When each release opened and ended its registry run, by start."""
    store = open_registry(home)._store
    experiment = store.find_experiment("employment")
    runs = store.client().search_runs([experiment])
    spans = [(run.info.start_time, run.info.end_time or float("inf")) for run in runs]
    return sorted(spans)


def test_the_second_waits_for_the_first(begun: Home) -> None:
    with start_release(begun, "one") as one, start_release(begun, "two") as two:
        outputs = [process.communicate(timeout=180)[0] for process in (one, two)]
        codes = [one.returncode, two.returncode]
    assert codes == [0, 0], "\n".join(outputs)
    waited = [output for output in outputs if "waiting for employment data v0 " in output]
    assert len(waited) == 1
    (_, first_end), (second_start, _) = spans_of(begun)[-2:]
    assert first_end <= second_start
    assert len(describe_state(begun)["models"]) == 2
    assert open_control(begun).leases.find("employment", "release").is_free


def test_another_service_is_not_waited_for(begun: Home) -> None:
    from flows.release import release

    leases = open_control(begun).leases
    other = leases.acquire("income", "release", "another", 600.0)
    state = release("employment", return_state=True)
    assert state.is_completed(), state.message
    assert not [line for line in logs_of(state) if "waiting for" in line]
    assert leases.find("income", "release") == other


def test_a_killed_release_is_succeeded_after_its_lease(begun: Home) -> None:
    from flows.release import release

    with start_release(begun, "killed") as first:
        read_until(first, " of employment: data version ")
        first.kill()
        first.wait()
    began = time.monotonic()
    state = release("employment", cause="data.changed", return_state=True)
    assert state.is_completed(), state.message
    assert time.monotonic() - began >= TTL_SECONDS * 0.6
    logs = logs_of(state)
    assert [line for line in logs if "waiting for employment data v0 killed" in line]
    assert [line for line in logs if line.endswith("was not renewed for 15 s: taken over")]


def test_the_same_change_of_data_is_not_released_twice(begun: Home) -> None:
    """The release above was the first that this change started."""
    from flows.release import release

    before = describe_state(begun), spans_of(begun)
    state: Any = release("employment", cause="data.changed", return_state=True)
    assert (state.is_completed(), state.name) == (True, "Skipped")
    assert state.message.startswith("data v0, configuration ")
    assert state.message.endswith(" registered it")
    assert (describe_state(begun), spans_of(begun)) == before


def test_a_skipped_release_says_so_in_the_terminal(begun: Home) -> None:
    with start_release(begun, "data.changed") as process:
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert "skipped: data v0, configuration " in output
    assert "Traceback" not in output


def test_one_frozen_beyond_its_lease_registers_nothing(begun: Home) -> None:
    """It is taken over while it stands still; when it goes on it finds a successor."""
    import signal

    control = open_control(begun)
    with start_release(begun, "frozen") as first:
        read_until(first, "evaluation gate: pass")
        first.send_signal(signal.SIGSTOP)
        models = describe_state(begun)["models"]
        lease = control.leases.find("employment", "release")
        successor = control.leases.take(lease, "successor", TTL_SECONDS)
        first.send_signal(signal.SIGCONT)
        output = first.communicate(timeout=120)[0]
    assert successor is not None
    assert first.returncode == 3, output
    assert "LeaseLost: the lease release of employment" in output
    assert describe_state(begun)["models"] == models
    assert control.leases.find("employment", "release") == successor
    control.leases.release(successor)

"""Two releases of one service never run at the same time, however the first one ends."""

import shutil
import signal
import subprocess
import threading
import time
from contextlib import AbstractContextManager
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.home import Home
from support.releases.runs import describe_state, logs_of, runs_of, spans_of, start_sluice
from tasks.run.leases import TTL_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("api")]

END_SECONDS = 480.0
"""For a release on a busy machine; it takes about 15 s on a quiet one."""


def start_release(home: Home, cause: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    return start_sluice("release", "employment", "--cause", cause, home=home.root)


def read_until(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return
    pytest.fail("".join(lines))


def test_the_second_waits_for_the_first(begun: Home) -> None:
    with start_release(begun, "one") as one, start_release(begun, "two") as two:
        outputs = [process.communicate(timeout=END_SECONDS)[0] for process in (one, two)]
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


@pytest.mark.faults
def test_a_killed_release_is_followed_after_its_lease(begun: Home) -> None:
    from flows.release import release

    with start_release(begun, "killed") as first:
        read_until(first, " of employment: data version ")
        assert len(describe_state(begun)["scratch"]) == 1
        first.kill()
        first.wait()
    began = time.monotonic()
    state = release("employment", cause="after a kill", return_state=True)
    assert state.is_completed(), state.message
    assert time.monotonic() - began >= TTL_SECONDS * 0.6
    logs = logs_of(state)
    assert [line for line in logs if "waiting for employment data v0 killed" in line]
    assert [line for line in logs if line.endswith("was not renewed for 15 s: taken over")]
    *_, killed, successor = runs_of(begun)
    assert [killed.info.status, successor.info.status] == ["KILLED", "FINISHED"]
    assert killed.data.tags["sluice.successor"] == successor.info.run_id
    assert describe_state(begun)["scratch"] == []


def test_a_change_of_data_that_any_release_handled_is_not_released_again(begun: Home) -> None:
    """The releases above were by hand; the first of them handled this data."""
    from flows.release import release

    (claim,) = open_control(begun).causes.list_claims("employment")
    before = describe_state(begun), spans_of(begun)
    state: Any = release("employment", cause="data.changed", return_state=True)
    assert (state.is_completed(), state.name) == (True, "Skipped")
    assert state.message.startswith("data v0, configuration ")
    assert state.message.endswith(f": handled by flow run {claim.flow_run}: registered it")
    assert (describe_state(begun), spans_of(begun)) == before
    assert open_control(begun).causes.list_claims("employment") == [claim]


def test_a_skipped_release_prints_it_in_the_terminal(begun: Home) -> None:
    with start_release(begun, "data.changed") as process:
        output = process.communicate(timeout=END_SECONDS)[0]
    assert process.returncode == 0, output
    assert "skipped: data v0, configuration " in output
    assert "Traceback" not in output


@pytest.mark.faults
def test_one_frozen_beyond_its_lease_registers_nothing(begun: Home) -> None:
    """It is taken over while it is stopped, and the next run removes its remains."""
    control, registry = open_control(begun), open_registry(begun)
    with start_release(begun, "frozen") as first:
        read_until(first, "trained in ")
        first.send_signal(signal.SIGSTOP)
        models = describe_state(begun)["models"]
        lease = control.leases.find("employment", "release")
        successor = control.leases.take(lease, "successor", TTL_SECONDS)
        (lost,) = registry.end_lost_runs("employment", "successor")
        shutil.rmtree(begun.workspace(lost))
        first.send_signal(signal.SIGCONT)
        output = first.communicate(timeout=END_SECONDS)[0]
    assert successor is not None
    assert first.returncode == 3, output
    assert "LeaseLost: the lease release of employment" in output
    assert "Traceback" not in output
    assert describe_state(begun)["models"] == models
    assert describe_state(begun)["scratch"] == []
    assert control.leases.find("employment", "release") == successor
    control.leases.release(successor)


def test_promotion_waits_for_a_release(begun: Home) -> None:
    from flows.promote import promote

    leases = open_control(begun).leases
    held = leases.acquire("employment", "release", "a release", 600.0)
    timer = threading.Timer(3.0, leases.release, (held,))
    timer.start()
    state = promote("employment", return_state=True)
    timer.join()
    assert state.is_completed(), state.message
    assert [line for line in logs_of(state) if "waiting for a release, " in line]
    now = leases.find("employment", "release")
    assert (now.is_free, now.epoch) == (True, held.epoch + 1)
    assert sorted(describe_state(begun)["models"]) == ["champion", "previous"]

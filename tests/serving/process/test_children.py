"""Processes of a replica: restarted with growing pauses, ended where they stand still."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from serving.process.children import (
    LONGEST_PAUSE,
    NICE,
    STEADY_SECONDS,
    Child,
    ChildOptions,
    RestartBackoff,
)
from support.gateway.site import wait_until

PARENT = """
import time
from serving.process.children import Child, ChildOptions
child = Child("one", ChildOptions(
    lambda: ["-c", "import time; print('up', flush=True); time.sleep(600)"], outlives={outlives}
))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""
BEATING = """
import faulthandler, sys, time
from sluice.adapters.heartbeat import ProcessHeartbeat
faulthandler.enable()
heartbeat = ProcessHeartbeat(int(sys.argv[sys.argv.index("--heartbeat") + 1]))
for _ in range({beats}):
    heartbeat.beat()
    time.sleep(0.1)
def stand_still():
    time.sleep(600)
stand_still()
"""


def make_child(code: str, still_seconds: float = 0.0) -> Child:
    def arguments() -> Sequence[str]:
        return ["-c", code]

    return Child("one", ChildOptions(arguments, still_seconds=still_seconds))


def run_checks(child: Child, seconds: float) -> bool:
    """Check a child as a supervisor does; return whether it ended within the time."""
    late = time.monotonic() + seconds
    while time.monotonic() < late:
        if child.check(time.monotonic()):
            return True
        time.sleep(0.05)
    return False


def test_pauses_grow_and_are_reset_by_work() -> None:
    backoff = RestartBackoff()
    pauses = [backoff.take(0.0) for _ in range(9)]
    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert pauses[-1] == LONGEST_PAUSE
    assert backoff.take(STEADY_SECONDS) == 0.0


def test_a_process_that_ended_is_reported_once_and_restarted() -> None:
    child = make_child("pass")
    child.start()
    first = child.pid
    wait_until(lambda: child.check(time.monotonic()))
    assert child.pid not in (0, first), "the first restart is at once"
    wait_until(lambda: child.check(time.monotonic()))
    assert child.pid == 0, "it ended before it worked: the next one has a pause"
    assert not child.check(time.monotonic())
    assert not child.check(time.monotonic() + 1)
    assert child.pid
    child.await_end(time.monotonic() + 60)


@pytest.mark.parametrize(("outlives", "more"), [(True, 0), (False, NICE)])
def test_what_no_caller_waits_for_gives_way(
    outlives: bool, more: int, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["-c", "import os; print(os.nice(0), flush=True)"]
    child = Child("one", ChildOptions(lambda: words, outlives=outlives))
    child.start()
    child.await_end(time.monotonic() + 60)
    assert int(capfd.readouterr().out) == min(os.nice(0) + more, 19)


def test_a_process_that_stands_still_is_ended_with_its_stack_in_the_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    child = make_child(BEATING.format(beats=10), still_seconds=2.0)
    child.start()
    assert run_checks(child, 60)
    assert "has not moved for 2 s, limit 2 s, and is ended" in caplog.text
    assert "was killed by signal 6" in caplog.text
    assert "in stand_still" in capfd.readouterr().err
    assert run_checks(child, 1) is False
    assert child.pid, "it was started again"
    child.terminate()
    child.await_end(time.monotonic() + 60)


def test_a_stopped_process_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    child = make_child(BEATING.format(beats=6000), still_seconds=1.0)
    child.start()
    wait_until(lambda: child.check(time.monotonic()) or child.works)
    assert not run_checks(child, 2), "a process that beats is left alone"
    subprocess.run(["kill", "-STOP", str(child.pid)], check=True)
    assert run_checks(child, 60)
    assert f"was killed by signal {signal.SIGKILL.value}" in caplog.text
    child.terminate()
    child.await_end(time.monotonic() + 60)


@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux ends orphans")
@pytest.mark.parametrize("outlives", [False, True])
def test_a_child_ends_with_a_parent_that_was_killed_unless_it_outlives_it(outlives: bool) -> None:
    code = PARENT.replace("{outlives}", str(outlives))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip() for _ in range(2)} - {b"up"}
        pid = int(lines.pop())
        child = Path(f"/proc/{pid}")
        assert child.exists()
        parent.kill()
        parent.wait()
        if outlives:
            time.sleep(0.5)
            assert not has_ended(child)
            subprocess.run(["kill", str(pid)], check=True)
        wait_until(lambda: has_ended(child))


def has_ended(process: Path) -> bool:
    """Whether a process has ended; nobody may have taken note of it yet."""
    try:
        return "Z" in (process / "stat").read_text().split()[2]
    except OSError:
        return True

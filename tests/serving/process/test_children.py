"""Processes of a replica: restarted with growing pauses, and none outlives its parent."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.process.supervisor import LONGEST_PAUSE, STEADY_SECONDS, Child, RestartBackoff
from support.gateway.site import wait_until

PARENT = """
import time
from serving.process.supervisor import Child
child = Child("one", lambda: ["-c", "import time; print('up', flush=True); time.sleep(600)"])
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_pauses_grow_and_are_reset_by_a_long_run() -> None:
    backoff = RestartBackoff()
    pauses = [backoff.take(1.0) for _ in range(9)]
    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert pauses[-1] == LONGEST_PAUSE
    assert backoff.take(STEADY_SECONDS) == 0.0


def test_a_process_that_ended_is_reported_once_and_restarted() -> None:
    child = Child("brief", lambda: ["-c", "pass"])
    child.start()
    wait_until(lambda: child.check(time.monotonic()))
    assert child.pid == 0
    assert not child.check(time.monotonic())
    assert child.pid
    child.await_end(time.monotonic() + 60)


@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux ends orphans")
def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip() for _ in range(2)} - {b"up"}
        child = Path(f"/proc/{int(lines.pop())}")
        assert child.exists()
        parent.kill()
        wait_until(lambda: not child.exists() or "Z" in (child / "stat").read_text().split()[2])

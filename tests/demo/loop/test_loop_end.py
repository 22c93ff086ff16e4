"""The end of a story: the stack ends in order, and at once where it does not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.loop import play
from demo.loop.play import end_stack
from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.storage import try_lock
from sluice.home import PROJECT
from support.pace import slowed

# A stack with runs in progress: it waits for them, until a second signal comes.
STACK = """
import signal, sys, time
signals = []
signal.signal(signal.SIGTERM, lambda *_: signals.append(1))
print("up", flush=True)
while len(signals) < int(sys.argv[1]):
    time.sleep(0.05)
print("ended in order", flush=True)
"""


def start(folder: Path, signals: int) -> BackgroundProcess:
    log = folder / "up.log"
    process = start_background(
        "a stack", ["-c", STACK, str(signals)], dict(os.environ), log, PROJECT
    )
    while "up" not in log.read_text():
        time.sleep(0.05)
    return process


@pytest.mark.parametrize(("signals", "least", "most"), [(1, 0.0, 20.0), (2, 0.5, 20.0)])
def test_a_stack_that_waits_for_its_runs_gets_a_second_signal(
    signals: int, least: float, most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "GRACE_SECONDS", 0.5)
    process = start(tmp_path, signals)
    began = time.monotonic()
    end_stack(process, lambda: False)
    assert least <= time.monotonic() - began < slowed(most)
    assert not process.is_alive
    assert process.log.read_text().split("\n")[1] == "ended in order"


def test_a_second_ctrl_c_waits_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "GRACE_SECONDS", 60.0)
    process = start(tmp_path, 2)
    began = time.monotonic()
    end_stack(process, lambda: True)
    assert time.monotonic() - began < slowed(20.0)
    assert "ended in order" in process.log.read_text()


COMMAND = """
import os, sys
from pathlib import Path
from demo.world import enter_world, run_story
from sluice.home import Home
story = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
with enter_world(Home(Path(sys.argv[1])), "loop-concept"):
    run_story(["-S", "-c", story], dict(os.environ))
"""


def test_the_story_takes_the_place_of_its_command_and_keeps_its_world(tmp_path: Path) -> None:
    """So no signal to the command, whichever and whenever, leaves a story running."""
    command = [sys.executable, "-c", COMMAND, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == process.pid
            with (tmp_path / "demo" / "loop-concept.lock").open("a") as lock:
                assert not try_lock(lock)
        finally:
            process.kill()

"""What is waited for: one line that a terminal rewrites, and no long silence anywhere."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.home import PROJECT
from support.pace import slowed
from support.releases.runs import start_sluice

WAIT = """
import time
import cli.output as output
from tasks.run.console import name_stage
output.QUIET_SECONDS = 0.3
output.say("begun")
with output.report_waiting("starting"):
    time.sleep(0.9)
    with name_stage("train model"):
        time.sleep(0.9)
    output.say("a line")
    time.sleep(0.2)
output.say("done")
"""


def test_without_a_terminal_a_line_comes_after_each_silence_and_names_the_stage() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WAIT],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    lines = ended.stdout.splitlines()
    assert lines[0] == "begun"
    assert lines[-2:] == ["a line", "done"]
    waiting = [line for line in lines if line.startswith("  ")]
    assert waiting[0].startswith("  starting, ")
    assert waiting[-1].startswith("  train model, ")
    assert 3 <= len(waiting) <= 6, lines


NESTED = """
import time
import cli.output as output
output.QUIET_SECONDS = 0.3
with output.report_waiting("at work"):
    time.sleep(0.6)
    for _ in range(9):
        with output.report_waiting("the rollout"):
            time.sleep(0.45)
    time.sleep(0.6)
"""


def test_of_waits_in_each_other_the_innermost_is_shown() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NESTED], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    subjects = [line.strip().partition(",")[0] for line in ended.stderr.splitlines()]
    inner = [place for place, subject in enumerate(subjects) if subject == "the rollout"]
    assert len(inner) >= 2, subjects
    assert subjects[inner[0] : inner[-1] + 1] == ["the rollout"] * len(inner)
    assert (subjects[0], subjects[-1]) == ("at work", "at work")


def test_a_terminal_shows_one_line_that_is_rewritten_and_erased() -> None:
    master, slave = pty.openpty()
    subprocess.run([sys.executable, "-c", WAIT], cwd=PROJECT, stdout=slave, check=True)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    lines = shown.replace("\r\n", "\n").split("\n")
    assert lines[0] == "begun"
    assert lines[-2:] == ["done", ""]
    rewritten = lines[1].split("\r\033[2K")
    assert any(part.startswith("  starting, ") for part in rewritten)
    assert rewritten[-1] == "a line", "the progress is erased before the next line"


@pytest.mark.slow
def test_a_command_is_never_silent_for_long(tmp_path: Path) -> None:
    """The first use of a registry creates its database, which takes seconds."""
    with start_sluice("show", home=tmp_path / "home") as process:
        assert process.stdout is not None
        began, gaps = time.monotonic(), []
        for _ in process.stdout:
            now = time.monotonic()
            gaps.append(now - began)
            began = now
        assert process.wait(60) == 0
    # An import can hold the interpreter for a moment on a busy machine.
    assert max(gaps) < slowed(3.0 + 4.0), gaps

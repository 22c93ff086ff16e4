"""A background program reports how it ended, and ends with all its children."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.adapters.server.background import BackgroundProcess, last_line, start_background

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def start(code: str, folder: Path) -> BackgroundProcess:
    log = folder / "logs" / "program.log"
    return start_background("the program", ["-S", "-c", code], os.environ, log, folder)


def await_output(program: BackgroundProcess) -> str:
    deadline = time.monotonic() + 60
    while not (text := program.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return text


def await_end(program: BackgroundProcess) -> None:
    deadline = time.monotonic() + 60
    while program.is_alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not program.is_alive


def test_its_end_is_described_with_its_last_line(tmp_path: Path) -> None:
    program = start("print('one'); print('two'); raise SystemExit(5)", tmp_path)
    await_end(program)
    reported = program.describe_end()
    assert reported.startswith(f"the program (process {program.pid}) ended with exit code 5")
    assert f"its last line: two (all of it in {program.log})" in reported


def test_a_signal_that_killed_it_is_named(tmp_path: Path) -> None:
    program = start("import time; time.sleep(600)", tmp_path)
    os.kill(program.pid, signal.SIGKILL)
    await_end(program)
    assert "was killed by signal 9" in program.describe_end()


@pytest.mark.parametrize(("seconds", "hasty"), [(0.3, False), (600.0, True)])
def test_one_that_ignores_the_request_is_killed_with_its_children(
    tmp_path: Path, seconds: float, hasty: bool
) -> None:
    program = start(STUBBORN, tmp_path)
    child = int(await_output(program))
    program.stop(signal.SIGTERM, seconds, lambda: hasty)
    assert not program.is_alive
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.killpg(program.pid, 0)


PARENT = """
import sys, time
from pathlib import Path
from sluice.adapters.server.background import start_background
log = Path(sys.argv[1])
code = "import time; print(1, flush=True); time.sleep(600)"
print(start_background("a part", ["-S", "-c", code], {}, log, log.parent).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no signal for it")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent_by_whatever_signal(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "part.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        os.kill(parent.pid, number)
    deadline = time.monotonic() + 60
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether a process lives; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_it_receives_ctrl_c_though_its_parent_ignores_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = start("import time; print(1, flush=True); time.sleep(600)", tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    await_output(program)
    program.stop(signal.SIGINT, 60.0)
    assert "KeyboardInterrupt" in last_line(program.log)


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert last_line(tmp_path / "none.log") == f"see {tmp_path / 'none.log'}"

"""A Python program in the background: in a process group of its own, its output in a log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.1
# A shell's background job ignores SIGINT, and so would the program: it is set back first.
LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class BackgroundProcess:
    """One program that runs until it is stopped, or ends by itself."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name, self.pid, self.log = name, process.pid, log
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def tell_end(self) -> str:
        """Say how it ended, with the last line that it wrote."""
        code = self._process.poll() or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} (process {self.pid}) {how}; its last line: {last_line(self.log)}"

    def stop(self, number: int, seconds: float, hasten: Callable[[], bool] = lambda: False) -> None:
        """End it and its group: asked by a signal, killed after `seconds` or as soon as told to."""
        deadline = time.monotonic() + seconds
        if self.is_alive:
            signal_group(self.pid, number)
        while self.is_alive and time.monotonic() < deadline and not hasten():
            time.sleep(POLL_SECONDS)
        signal_group(self.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)


def start_background(
    name: str, arguments: list[str], environment: Mapping[str, str], log: Path, folder: Path
) -> BackgroundProcess:
    """Start Python with the arguments, in the folder; what it prints is added to the log.

    Raises:
        OSError: the log cannot be written, or no process can be made.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-c", LAUNCH, *arguments],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return BackgroundProcess(name, process, log)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a whole process group; nothing happens where it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def last_line(log: Path) -> str:
    """Give the last line of a log, and where all of it is."""
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return f"{lines[-1].strip()} (all of it in {log})"
    return f"see {log}"

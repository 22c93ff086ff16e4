"""Python programs in the background: start, restart after a crash, end on a signal."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

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


NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ShutdownSignals:
    """While it is entered, Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt once, together.

    A SIGHUP that the caller ignores (`nohup`) stays ignored.
    """

    def __init__(self) -> None:
        self.number = 0
        """Which signal came first; 0 as long as none has come."""
        self._ending = False
        self._haste = threading.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> "ShutdownSignals":
        """Take the signals over."""
        for number in NUMBERS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def begin_ending(self) -> None:
        """Let no signal raise from here on."""
        self._ending = True

    def is_hasty(self) -> bool:
        """Whether a signal came while ending."""
        return self._haste.is_set()

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0 after Ctrl-C, which is how one ends it."""
        return 0 if self.number in (0, signal.SIGINT) else 128 + self.number

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._ending:
            self._haste.set()
            return
        self._ending = True
        self.number = number
        raise KeyboardInterrupt


MOST, WINDOW_SECONDS = 3, 60.0


@dataclass
class Restarts:
    """The restarts of one part; `now` is the caller's monotonic seconds."""

    moments: list[float] = field(default_factory=list)

    def allow(self, now: float) -> float | None:
        """Give the seconds to wait before starting it again; None where it ended too often."""
        self.moments = [item for item in self.moments if now - item < WINDOW_SECONDS]
        if len(self.moments) == MOST:
            return None
        self.moments.append(now)
        return float(2 ** (len(self.moments) - 1))

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
# Linux sends the signal (PR_SET_PDEATHSIG) when the parent ends, by whatever cause.
LAUNCH = """
import ctypes, os, signal, sys
parent, number = int(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, number)
if os.getppid() != parent:
    sys.exit(1)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


class BackgroundProcess:
    """One program that runs until it is stopped or ends by itself."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name, self.pid, self.log = name, process.pid, log
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def describe_end(self) -> str:
        """Return how it ended, with the last line that it wrote."""
        code = self._process.poll() or 0
        result = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} (process {self.pid}) {result}; its last line: {last_line(self.log)}"

    def stop(
        self, number: int, seconds: float, is_urgent: Callable[[], bool] = lambda: False
    ) -> None:
        """End its process group by a signal; kill it after `seconds`, or at once if urgent."""
        deadline = time.monotonic() + seconds
        if self.is_alive:
            signal_group(self.pid, number)
        while self.is_alive and time.monotonic() < deadline and not is_urgent():
            time.sleep(POLL_SECONDS)
        signal_group(self.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)


def start_background(
    name: str,
    arguments: list[str],
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
    *,
    at_parents_end: int = signal.SIGTERM,
) -> BackgroundProcess:
    """Start Python with the arguments, in the folder; append its output to the log.

    On Linux it gets the signal `at_parents_end` when the thread that calls this ends, also where
    the whole process is killed: so nothing is left running that nobody stops.

    Raises:
        OSError: the log cannot be written, or no process can be created.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    tie = [str(os.getpid()), str(int(at_parents_end))]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-c", LAUNCH, *tie, *arguments],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return BackgroundProcess(name, process, log)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a whole process group; do nothing if it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def last_line(log: Path) -> str:
    """Return the last line of a log, and the path of the log."""
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return f"{lines[-1].strip()} (all of it in {log})"
    return f"see {log}"


NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ShutdownSignals:
    """A context in which the first Ctrl-C, SIGTERM or SIGHUP raises KeyboardInterrupt.

    Later ones only make the shutdown urgent. A SIGHUP that the caller ignores (`nohup`) stays
    ignored.
    """

    def __init__(self) -> None:
        self.number = 0
        """The first signal's number; 0 before any signal."""
        self._shutting_down = False
        self._urgent = threading.Event()
        self._before: dict[int, object] = {}

    def __enter__(self) -> "ShutdownSignals":
        """Install the signal handlers."""
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
        """Restore the previous signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def begin_shutdown(self) -> None:
        """Stop raising at signals from now on."""
        self._shutting_down = True

    def is_urgent(self) -> bool:
        """Whether a signal came during shutdown."""
        return self._urgent.is_set()

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0 after Ctrl-C, which is the usual way to end it."""
        return 0 if self.number in (0, signal.SIGINT) else 128 + self.number

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._shutting_down:
            self._urgent.set()
            return
        self._shutting_down = True
        self.number = number
        raise KeyboardInterrupt


MOST, WINDOW_SECONDS = 3, 60.0


@dataclass
class Restarts:
    """The recent restarts of one part; `now` is the caller's monotonic clock in seconds."""

    moments: list[float] = field(default_factory=list)

    def allow(self, now: float) -> float | None:
        """Return the seconds to wait before the next restart; None after too many restarts."""
        self.moments = [item for item in self.moments if now - item < WINDOW_SECONDS]
        if len(self.moments) == MOST:
            return None
        self.moments.append(now)
        return float(2 ** (len(self.moments) - 1))

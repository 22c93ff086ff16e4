"""The processes of a replica: started so that none outlives its supervisor, again when they end."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

LONGEST_PAUSE, FIRST_PAUSE, STEADY_SECONDS = 30.0, 0.5, 30.0
# The kernel ends a child whose parent is gone (Linux); a background job would ignore SIGINT.
LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
LOG = logging.getLogger("sluice.gateway")


@dataclass
class Pauses:
    """How long to wait before a process is started again: at once, then longer and longer."""

    next_pause: float = 0.0

    def take(self, lived: float) -> float:
        """Give the pause after a process that lived so many seconds; who lived long begins anew."""
        if lived >= STEADY_SECONDS:
            self.next_pause = 0.0
        pause = self.next_pause
        self.next_pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
        return pause


class Child:
    """One process of a replica, and its successors."""

    def __init__(
        self, name: str, arguments: Callable[[], Sequence[str]], sockets: tuple[int, ...] = ()
    ) -> None:
        self.name = name
        self._arguments, self._sockets = arguments, sockets
        self._process: subprocess.Popen[bytes] | None = None
        self._pauses = Pauses()
        self._began = self._again = 0.0

    @property
    def pid(self) -> int:
        """The process at work; 0 where none is."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: no process can be made.
        """
        arguments = [str(os.getpid()), *self._arguments()]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-c", LAUNCH, *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=self._sockets,
        )
        self._began = time.monotonic()

    def look(self, now: float) -> bool:
        """Start it again where it is time to; whether it was just found ended."""
        if self._process is None:
            if now >= self._again:
                try:
                    self.start()
                except OSError as error:
                    self._again = now + self._pauses.take(0.0)
                    LOG.error("%s cannot be started: %s", self.name, error)
            return False
        code = self._process.poll()
        if code is None:
            return False
        pause = self._pauses.take(now - self._began)
        self._process, self._again = None, now + pause
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        LOG.warning("%s %s; started again in %.1f s", self.name, how, pause)
        return True

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def await_end(self, deadline: float) -> None:
        """Wait until it has ended; it is killed at the deadline, in monotonic seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            LOG.warning("%s did not end in time and is killed", self.name)
            self._process.kill()
            self._process.wait()
        self._process = None

    def _send(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

"""Child processes: how they start, what they may use, and when they are restarted."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sluice.adapters.heartbeat import Watch

LONGEST_PAUSE, FIRST_PAUSE, STEADY_SECONDS = 30.0, 0.5, 0.5
START_SECONDS = 120.0
"""Longest time from the start of a process to its first heartbeat."""
READY_SECONDS = 2.0
"""How long ago a process that waits for its orders may have said so."""
DUMP_SECONDS = 1.0
"""How long a process that does not move has for writing its stack to the log."""
UNKNOWN = 1 << 16
"""The exit code of a process that is no child of this one: nobody tells it."""
NICE = 5
"""How much a process that no caller waits for gives way to the workers."""
# A background job would ignore SIGINT. Linux ends a child with its parent where it is told to.
# A core file of a process that is ended would hold what callers sent.
LAUNCH = f"""
import ctypes, os, resource, signal, sys
parent, outlives = int(sys.argv[1]), sys.argv[2] == "outlives"
if not outlives and sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != parent:
    sys.exit(1)
if not outlives:
    os.nice({NICE})
signal.signal(signal.SIGINT, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""
LOG = logging.getLogger("sluice.gateway")


def launch(
    arguments: Sequence[str], descriptors: Sequence[int] = (), outlives: bool = False
) -> "subprocess.Popen[bytes]":
    """Start a Python process; it ends with this one (on Linux) unless it outlives it.

    One that outlives it answers callers; the others give way to it.

    Raises:
        OSError: no process can be started.
    """
    words = [str(os.getpid()), "outlives" if outlives else "ends", *arguments]
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-S", "-c", LAUNCH, *words],
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
    )


@dataclass
class RestartBackoff:
    """The pauses before a process is restarted: none at first, then longer ones."""

    next_pause: float = 0.0

    def take(self, worked: float) -> float:
        """Return the pause after a process that worked so many seconds; enough of them reset it.

        A process that worked is restarted at once, since callers wait for it. Pauses grow where it
        ends before it works.
        """
        if worked >= STEADY_SECONDS:
            self.next_pause = 0.0
        pause = self.next_pause
        self.next_pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
        return pause


class Process(Protocol):
    """A running process, a child of this one or not."""

    @property
    def pid(self) -> int:
        """Its id."""

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""

    def wait(self, timeout: float) -> int:
        """Wait until it has ended."""

    def send_signal(self, sig: int) -> None:
        """Send a signal."""


@dataclass(frozen=True)
class ChildOptions:
    """What a child needs: its arguments, its descriptors, and how long it may stand still.

    `arguments` are asked for at each start. `still_seconds`: 0 watches for nothing.
    """

    arguments: Callable[[], Sequence[str]]
    descriptors: tuple[int, ...] = ()
    still_seconds: float = 0.0
    outlives: bool = False
    spare: "Child | None" = None
    """A process that is ready to take the place of this one."""


class Child:
    """One process of a replica, and its successors."""

    def __init__(self, name: str, options: ChildOptions) -> None:
        self.name = name
        self._options = options
        self._process: Process | None = None
        self._watch: Watch | None = None
        self._backoff = RestartBackoff()
        self._restart_at = self._kill_at = 0.0

    @property
    def pid(self) -> int:
        """The id of the process; 0 where none runs."""
        return self._process.pid if self._process else 0

    @property
    def outlives(self) -> bool:
        """Whether its process goes on when this one ends."""
        return self._options.outlives

    @property
    def works(self) -> bool:
        """Whether its last heartbeat says that it works, not only that it starts."""
        return self._process is not None and self._watch is not None and self._watch.works

    def start(self) -> None:
        """Start the process, or give its place to the spare.

        Raises:
            OSError: no process can be started.
        """
        arguments, descriptors = [*self._options.arguments()], self._options.descriptors
        if self._options.spare and (found := self._options.spare.hand_over(arguments)):
            self.adopt(*found)
            LOG.info("%s is process %d, which was the spare", self.name, self.pid)
            return
        if not self._options.still_seconds:
            self._process = launch(arguments, descriptors, self._options.outlives)
            return
        mine, its = socket.socketpair()
        with its:
            try:
                words = [*arguments, "--heartbeat", str(its.fileno())]
                handles = (*descriptors, its.fileno())
                self._process = launch(words, handles, self._options.outlives)
            except OSError:
                mine.close()
                raise
        self._watch = Watch(mine, time.monotonic())

    def hand_over(self, arguments: Sequence[str]) -> "tuple[Process, Watch] | None":
        """Give a process its arguments, which it reads when it is ready, and give it away.

        One that is still starting is ahead of a new one. None where there is none, or it hangs.
        """
        process, watch = self._process, self._watch
        if process is None or watch is None:
            return None
        watch.read(time.monotonic())
        hangs = watch.has_moved and watch.still_seconds > READY_SECONDS
        if hangs or process.poll() is not None:
            return None
        try:
            watch.order(json.dumps(arguments).encode() + b"\n")
        except OSError:
            return None
        self._process = self._watch = None
        return process, watch

    def adopt(self, process: Process, watch: Watch) -> None:
        """Go on with a process that another supervisor started."""
        self._process, self._watch = process, watch

    def check(self, now: float, may_start: bool = True) -> bool:
        """Restart the process when its pause is over; return whether it has just ended.

        One that has not moved for too long is ended.
        """
        if self._process is None:
            if may_start:
                self._start_when_due(now)
            return False
        self._end_if_still(now)
        code = self._process.poll()
        if code is None:
            return False
        worked = 0.0
        if self._watch:
            worked = self._watch.worked_seconds
            self._watch.close()
        pause = self._backoff.take(worked)
        self._process, self._watch, self._restart_at = None, None, now + pause
        LOG.warning("%s %s; restart in %.1f s", self.name, describe_end(code), pause)
        if may_start:
            self._start_when_due(now)
        return True

    def _start_when_due(self, now: float) -> None:
        if now < self._restart_at:
            return
        try:
            self.start()
        except OSError as error:
            self._restart_at = now + self._backoff.take(0.0)
            LOG.error("%s cannot be started: %s", self.name, error)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def await_end(self, deadline: float) -> None:
        """Wait until the process has ended; kill it at the deadline, in monotonic seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            LOG.warning("%s did not end in time and is killed", self.name)
            self._send(signal.SIGKILL)
            self._process.wait(DUMP_SECONDS)
        self._process = None
        if self._watch:
            self._watch.close()

    def _end_if_still(self, now: float) -> None:
        """Let a process that does not move write its stack to the log; then kill it."""
        if self._watch is None:
            return
        self._watch.read(now)
        limit = self._options.still_seconds if self._watch.has_moved else START_SECONDS
        if self._watch.still_seconds < limit:
            self._kill_at = 0.0
        elif not self._kill_at:
            words = "has not moved for %.0f s, limit %.0f s, and is ended; its stack may follow"
            LOG.error(f"%s (process %d) {words}", self.name, self.pid, *(limit, limit))
            self._send(signal.SIGABRT)
            self._kill_at = now + DUMP_SECONDS
        elif now >= self._kill_at:
            self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def describe_end(code: int) -> str:
    """Return how a process ended, from its exit code."""
    if code == UNKNOWN:
        return "ended"
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

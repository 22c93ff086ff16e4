"""The supervisor of a replica: its socket, its workers, the fetcher, the log-writer."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving.http.keys import load_keys
from serving.log.worker_runs import list_runs, settle
from sluice.adapters.storage import try_lock
from sluice.config.serving import GatewayConfig
from sluice.errors import GatewayBusy
from sluice.home import Home

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
class RestartBackoff:
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
        self._pauses = RestartBackoff()
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


LOOK_SECONDS, SETTLE_SECONDS, BIND_SECONDS, END_SECONDS = 0.1, 10.0, 5.0, 10.0
RECORD = "gateway.json"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class SupervisorOptions:
    """Which replica this is, and which parts it runs that one of a machine is enough of."""

    replica: str = "gateway"
    fetcher: bool = True
    log_writer: bool = True


def supervise(home: Home, config: GatewayConfig, wishes: SupervisorOptions) -> None:
    """Keep a replica up until SIGTERM or SIGINT.

    Raises:
        GatewayBusy: the replica runs already, or another program has the port.
        ConfigInvalid: the keys cannot be read.
        OSError: the replica's folder cannot be written.
    """
    load_keys(config.keys_file)
    replica = home.serving / wishes.replica
    replica.mkdir(parents=True, exist_ok=True)
    ended = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: ended.set())
    with claim_replica(replica), open_listener(config) as listener:
        settle_dead(replica)
        _keep_up(make_children(replica, config, wishes, listener), replica, config, ended)


def make_children(
    replica: Path, config: GatewayConfig, wishes: SupervisorOptions, listener: socket.socket
) -> list[Child]:
    """Give the replica's processes, not yet started."""
    workers = [_make_worker(replica, f"w{place}", listener) for place in range(config.workers)]
    fetcher = Child("the fetcher", lambda: ["-m", "serving.process.fetcher"])
    writer = Child("the log-writer", lambda: ["-m", "serving.log.log_writer"])
    parts = [*([fetcher] if wishes.fetcher else []), *([writer] if wishes.log_writer else [])]
    return [*workers, *parts]


def settle_dead(replica: Path) -> None:
    """Finish the counters of workers that are gone; a full disk is tried again later."""
    for life in list_runs(replica):
        try:
            if not life.read().final:
                settle(life)
        except OSError as error:
            LOG.warning("%s: not settled: %s", life.name, error)


@contextmanager
def claim_replica(replica: Path) -> Iterator[None]:
    """Keep a second supervisor out; the kernel frees the lock of one that died.

    Raises:
        GatewayBusy: there is one.
        OSError: the lock cannot be made.
    """
    with (replica / "supervisor.lock").open("a") as lock:
        if not try_lock(lock):
            raise GatewayBusy(f"{replica}: a gateway runs already; next: end it, or --replica NAME")
        try:
            yield
        finally:
            (replica / RECORD).unlink(missing_ok=True)


@contextmanager
def open_listener(config: GatewayConfig) -> Iterator[socket.socket]:
    """Listen; the workers of one that was killed may need a moment to let go of the port.

    Raises:
        GatewayBusy: another program has the port, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + BIND_SECONDS
        while True:
            try:
                listener.bind((config.host, config.port))
                listener.listen()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    place = f"{config.host}:{config.port}"
                    reason = f"{place}: {error.strerror}; next: free it, or --port NUMBER"
                    raise GatewayBusy(reason) from error
            time.sleep(LOOK_SECONDS)
        yield listener


def _make_worker(replica: Path, name: str, listener: socket.socket) -> Child:
    descriptor = listener.fileno()

    def arguments() -> list[str]:
        place = ["--socket", str(descriptor), "--replica", str(replica)]
        return [
            "-m",
            "serving.process.worker",
            *place,
            "--name",
            name,
            "--started",
            str(time.time_ns()),
        ]

    return Child(f"worker {name}", arguments, (descriptor,))


def _keep_up(
    children: list[Child], replica: Path, config: GatewayConfig, ended: threading.Event
) -> None:
    address = f"http://{config.host}:{config.port}"
    settled = time.monotonic()
    try:
        for child in children:
            child.start()
        record = {"pid": os.getpid(), "address": address}
        (replica / RECORD).write_text(json.dumps(record), encoding="utf-8")
        LOG.info("%s: %d workers listen at %s", replica.name, config.workers, address)
        while not ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            died = [child for child in children if child.look(now)]
            if died or now - settled > SETTLE_SECONDS:
                settled = now
                settle_dead(replica)
    finally:
        _end(children, replica, config)


def _end(children: list[Child], replica: Path, config: GatewayConfig) -> None:
    """Let workers finish, then the rest: what the last answers spooled is still committed."""
    LOG.info("%s: ending", replica.name)
    limits = config.limits
    deadline = time.monotonic() + limits.notice_seconds + limits.drain_seconds + END_SECONDS
    workers = [child for child in children if child.name.startswith("worker")]
    for group in (workers, [child for child in children if child not in workers]):
        for child in group:
            child.ask_to_end()
        for child in group:
            child.await_end(deadline)
        deadline += END_SECONDS
    with suppress(OSError):
        settle_dead(replica)
    sys.stderr.flush()

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
CHECK_SECONDS, SETTLE_SECONDS, BIND_SECONDS, END_SECONDS = 0.1, 10.0, 5.0, 10.0
RECORD_FILE = "gateway.json"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# The kernel ends a child whose parent has died (Linux); a background job would ignore SIGINT.
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
    """The pauses before a process is restarted: none at first, then longer ones."""

    next_pause: float = 0.0

    def take(self, ran: float) -> float:
        """Return the pause after a process that ran so many seconds; a long run resets it."""
        if ran >= STEADY_SECONDS:
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
        self._backoff = RestartBackoff()
        self._began = self._restart_at = 0.0

    @property
    def pid(self) -> int:
        """The id of the process; 0 where none runs."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: no process can be started.
        """
        arguments = [str(os.getpid()), *self._arguments()]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-S", "-c", LAUNCH, *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=self._sockets,
        )
        self._began = time.monotonic()

    def check(self, now: float) -> bool:
        """Restart the process when its pause is over; return whether it has just ended."""
        if self._process is None:
            if now >= self._restart_at:
                try:
                    self.start()
                except OSError as error:
                    self._restart_at = now + self._backoff.take(0.0)
                    LOG.error("%s cannot be started: %s", self.name, error)
            return False
        code = self._process.poll()
        if code is None:
            return False
        pause = self._backoff.take(now - self._began)
        self._process, self._restart_at = None, now + pause
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        LOG.warning("%s %s; restart in %.1f s", self.name, how, pause)
        return True

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def await_end(self, deadline: float) -> None:
        """Wait until the process has ended; kill it at the deadline, in monotonic seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            LOG.warning("%s did not end in time and is killed", self.name)
            self._process.kill()
            self._process.wait()
        self._process = None


@dataclass(frozen=True)
class SupervisorOptions:
    """The name of the replica, and whether it runs the parts that a machine needs once."""

    replica: str = "gateway"
    fetcher: bool = True
    log_writer: bool = True


def supervise(home: Home, config: GatewayConfig, options: SupervisorOptions) -> None:
    """Run a replica until SIGTERM or SIGINT.

    Raises:
        GatewayBusy: the replica runs already, or another program has the port.
        ConfigInvalid: the keys cannot be read.
        OSError: the replica's folder cannot be written.
    """
    load_keys(config.keys_file)
    replica = home.serving / options.replica
    replica.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    with claim_replica(replica), open_listener(config) as listener:
        settle_dead(replica)
        _run_children(make_children(replica, config, options, listener), replica, config, stopping)


def make_children(
    replica: Path, config: GatewayConfig, options: SupervisorOptions, listener: socket.socket
) -> list[Child]:
    """Return the processes of the replica, not started yet."""
    workers = [_make_worker(replica, f"w{place}", listener) for place in range(config.workers)]
    fetcher = Child("the fetcher", lambda: ["-m", "serving.process.fetcher"])
    writer = Child("the log-writer", lambda: ["-m", "serving.log.log_writer"])
    parts = [*([fetcher] if options.fetcher else []), *([writer] if options.log_writer else [])]
    return [*workers, *parts]


def settle_dead(replica: Path) -> None:
    """Finish the counters of workers that died; after an error it is tried again later."""
    for run in list_runs(replica):
        try:
            if not run.read().final:
                settle(run)
        except OSError as error:
            LOG.warning("%s: not settled: %s", run.name, error)


@contextmanager
def claim_replica(replica: Path) -> Iterator[None]:
    """Lock out a second supervisor; the kernel frees the lock of one that died.

    Raises:
        GatewayBusy: another supervisor runs this replica.
        OSError: the lock file cannot be created.
    """
    with (replica / "supervisor.lock").open("a") as lock:
        if not try_lock(lock):
            raise GatewayBusy(
                f"{replica}: a gateway runs already; next: stop it, or --replica NAME"
            )
        try:
            yield
        finally:
            (replica / RECORD_FILE).unlink(missing_ok=True)


@contextmanager
def open_listener(config: GatewayConfig) -> Iterator[socket.socket]:
    """Open the socket; the workers of a killed replica may hold the port for a moment.

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
                    address = f"{config.host}:{config.port}"
                    reason = f"{address}: {error.strerror}; next: free it, or --port NUMBER"
                    raise GatewayBusy(reason) from error
            time.sleep(CHECK_SECONDS)
        yield listener


def _make_worker(replica: Path, name: str, listener: socket.socket) -> Child:
    descriptor = listener.fileno()

    def arguments() -> list[str]:
        options = {"socket": descriptor, "replica": replica, "name": name}
        options["started"] = time.time_ns()
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return ["-m", "serving.process.worker", *words]

    return Child(f"worker {name}", arguments, (descriptor,))


def _run_children(
    children: list[Child], replica: Path, config: GatewayConfig, stopping: threading.Event
) -> None:
    address = f"http://{config.host}:{config.port}"
    settled = time.monotonic()
    try:
        for child in children:
            child.start()
        record = {"pid": os.getpid(), "address": address}
        (replica / RECORD_FILE).write_text(json.dumps(record), encoding="utf-8")
        LOG.info("%s: %d workers listen at %s", replica.name, config.workers, address)
        while not stopping.wait(CHECK_SECONDS):
            now = time.monotonic()
            died = [child for child in children if child.check(now)]
            if died or now - settled > SETTLE_SECONDS:
                settled = now
                settle_dead(replica)
    finally:
        _stop(children, replica, config)


def _stop(children: list[Child], replica: Path, config: GatewayConfig) -> None:
    """Stop the workers, then the rest, so that the log-writer commits the last answers."""
    LOG.info("%s: shutting down", replica.name)
    limits = config.limits
    deadline = time.monotonic() + limits.notice_seconds + limits.drain_seconds + END_SECONDS
    workers = [child for child in children if child.name.startswith("worker")]
    for group in (workers, [child for child in children if child not in workers]):
        for child in group:
            child.terminate()
        for child in group:
            child.await_end(deadline)
        deadline += END_SECONDS
    with suppress(OSError):
        settle_dead(replica)
    sys.stderr.flush()

"""The supervisor of a replica: its socket, its workers, the fetcher, the log-writer.

Each process sends heartbeats; one that stands still is ended and started again. Workers outlive
their supervisor: the next one of the replica adopts them.
"""

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving.http.keys import load_keys
from serving.log.worker_runs import list_runs, settle
from serving.process.adoption import Adopted, digest_settings, find_workers
from serving.process.children import START_SECONDS, Child, ChildOptions
from serving.process.spare import SPARE
from sluice.adapters.storage import try_lock
from sluice.config.serving import GatewayConfig
from sluice.errors import GatewayBusy
from sluice.home import Home

CHECK_SECONDS, SETTLE_SECONDS, BIND_SECONDS, END_SECONDS = 0.05, 10.0, 5.0, 10.0
RECORD_FILE = "gateway.json"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BUSY = b'{"error":"no worker answers yet; ask again"}'
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
)
REFUSAL += b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(BUSY), BUSY)
REFUSE_SECONDS = 2.0
"""How long no worker answers before callers are refused; after a shorter time they are answered."""
MOST_REFUSED = 256
"""Callers that are refused at once; the others have their turn at the next check."""
LOG = logging.getLogger("sluice.gateway")


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
    with claim_replica(replica):
        found = find_workers(replica)
        with open_listener(config, found) as listener:
            settle_dead(replica)
            spare = make_spare(config, listener)
            children = make_children(replica, config, options, listener, spare)
            adopt_workers(children, found, config)
            _run_children(Processes(children, spare), replica, config, listener, stopping)


@dataclass(frozen=True)
class Processes:
    """The processes of a replica: its parts, and a spare worker where there is one."""

    parts: list[Child]
    spare: Child | None

    @property
    def workers(self) -> list[Child]:
        """The parts that answer callers."""
        return [child for child in self.parts if child.outlives]

    def check(self, now: float) -> bool:
        """Restart what has ended; return whether a part has just ended.

        The spare is started when all workers work: until then they need the machine.
        """
        died = [child for child in self.parts if child.check(now)]
        if self.spare:
            self.spare.check(now, may_start=all(child.works for child in self.workers))
        return bool(died)


def make_spare(config: GatewayConfig, listener: socket.socket) -> Child | None:
    """Return a process that can become any worker, not started yet; None where none is wanted."""
    if not config.spare_worker:
        return None
    words, still = ["-m", "serving.process.worker", SPARE], config.watchdog.worker_seconds
    options = ChildOptions(lambda: words, (listener.fileno(),), still or START_SECONDS, True)
    return Child("the spare worker", options)


def make_children(
    replica: Path,
    config: GatewayConfig,
    options: SupervisorOptions,
    listener: socket.socket,
    spare: Child | None = None,
) -> list[Child]:
    """Return the parts of the replica, not started yet."""
    watchdog = config.watchdog
    workers = [
        _make_worker(replica, f"w{place}", config, listener, spare)
        for place in range(config.workers)
    ]
    fetcher = _make_part("the fetcher", "serving.process.fetcher", watchdog.fetcher_seconds)
    writer = _make_part("the log-writer", "serving.log.log_writer", watchdog.log_writer_seconds)
    parts = [*([fetcher] if options.fetcher else []), *([writer] if options.log_writer else [])]
    return [*workers, *parts]


def adopt_workers(
    children: Sequence[Child], found: Sequence[Adopted], config: GatewayConfig
) -> None:
    """Go on with the workers that an earlier supervisor left, where they are what is wanted.

    Those with other settings, another address or no place any more finish what is in flight.
    """
    places = {child.name: child for child in children}
    wanted = (digest_settings(config), find_address(config))
    for item in found:
        child, facts = places.get(f"worker {item.name}"), item.facts
        if child and (facts.settings, facts.address) == wanted:
            child.adopt(item.process, item.watch)
            LOG.info("worker %s (process %d) goes on: it was adopted", item.name, facts.pid)
            continue
        reason = "its settings are other ones" if child else "it has no place any more"
        LOG.info("worker %s (process %d) is not adopted: %s", item.name, facts.pid, reason)
        with suppress(ProcessLookupError):
            item.process.send_signal(signal.SIGTERM)


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
def open_listener(config: GatewayConfig, found: Sequence[Adopted]) -> Iterator[socket.socket]:
    """Take over the socket of the workers that were left, or open one.

    Raises:
        GatewayBusy: another program has the port, or the address is not this machine's.
    """
    address = find_address(config)
    left = [item for item in found if item.facts.address == address]
    with left[0].listener if left else _bind(config) as listener:
        for item in found:
            if item.listener is not listener:
                item.listener.close()
        listener.setblocking(False)
        yield listener


def find_address(config: GatewayConfig) -> str:
    """Return host and port, as workers are told."""
    return f"{config.host}:{config.port}"


def _bind(config: GatewayConfig) -> socket.socket:
    """Open the socket; a process that ends may hold the port for a moment.

    Raises:
        GatewayBusy: another program has the port, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            listener.bind((config.host, config.port))
            listener.listen()
            return listener
        except OSError as error:
            if time.monotonic() > deadline:
                listener.close()
                reason = (
                    f"{find_address(config)}: {error.strerror}; next: free it, or --port NUMBER"
                )
                raise GatewayBusy(reason) from error
        time.sleep(CHECK_SECONDS)


def refuse_callers(listener: socket.socket) -> int:
    """Answer those who wait with 503, while no worker can answer them; return how many.

    A caller that is refused asks again or elsewhere; one that waits does nothing.
    """
    for count in range(MOST_REFUSED):
        try:
            caller, _ = listener.accept()
        except OSError:  # nobody waits, or the caller has gone
            return count
        with caller, suppress(OSError):
            caller.setblocking(False)
            caller.send(REFUSAL)
            caller.shutdown(socket.SHUT_WR)
            caller.recv(1 << 16)  # closing with unread bytes would take the answer back
    return MOST_REFUSED


def _make_part(name: str, module: str, still_seconds: float) -> Child:
    return Child(name, ChildOptions(lambda: ["-m", module], still_seconds=still_seconds))


def _make_worker(
    replica: Path, name: str, config: GatewayConfig, listener: socket.socket, spare: Child | None
) -> Child:
    descriptor = listener.fileno()

    def arguments() -> list[str]:
        options = {"socket": descriptor, "replica": replica, "name": name}
        options |= {"started": time.time_ns(), "address": find_address(config)}
        options["parent"] = os.getpid()
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return ["-m", "serving.process.worker", *words]

    still = config.watchdog.worker_seconds
    return Child(f"worker {name}", ChildOptions(arguments, (descriptor,), still, True, spare))


def _run_children(
    processes: Processes,
    replica: Path,
    config: GatewayConfig,
    listener: socket.socket,
    stopping: threading.Event,
) -> None:
    address = f"http://{find_address(config)}"
    workers = processes.workers
    settled = worked = time.monotonic()
    try:
        for child in processes.parts:
            if not child.pid:
                child.start()
        record = {"pid": os.getpid(), "address": address}
        (replica / RECORD_FILE).write_text(json.dumps(record), encoding="utf-8")
        LOG.info("%s: %d workers listen at %s", replica.name, config.workers, address)
        while not stopping.wait(CHECK_SECONDS):
            now = time.monotonic()
            died = processes.check(now)
            if any(child.works for child in workers):
                worked = now
            elif now - worked > REFUSE_SECONDS:
                refuse_callers(listener)
            if died or now - settled > SETTLE_SECONDS:
                settled = now
                settle_dead(replica)
    finally:
        listener.close()
        _stop(processes, replica, config)


def _stop(processes: Processes, replica: Path, config: GatewayConfig) -> None:
    """Stop the workers, then the rest, so that the log-writer commits the last answers."""
    LOG.info("%s: shutting down", replica.name)
    limits = config.limits
    deadline = time.monotonic() + limits.notice_seconds + limits.drain_seconds + END_SECONDS
    answering = [*processes.workers, *([processes.spare] if processes.spare else [])]
    for group in (answering, [child for child in processes.parts if not child.outlives]):
        for child in group:
            child.terminate()
        for child in group:
            child.await_end(deadline)
        deadline += END_SECONDS
    with suppress(OSError):
        settle_dead(replica)
    sys.stderr.flush()

"""The process that keeps a replica up: its socket, its workers, the fetcher, the log-writer."""

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving.children import Child
from serving.keys import load_keys
from serving.life import list_lives, settle
from sluice.adapters.file_lock import try_lock
from sluice.config.serving import GatewayConfig
from sluice.errors import GatewayBusy
from sluice.home import Home

LOOK_SECONDS, SETTLE_SECONDS, BIND_SECONDS, END_SECONDS = 0.1, 10.0, 5.0, 10.0
RECORD = "gateway.json"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LOG = logging.getLogger("sluice.gateway")


@dataclass(frozen=True)
class Wishes:
    """Which replica this is, and which parts it runs that one of a machine is enough of."""

    replica: str = "gateway"
    fetcher: bool = True
    log_writer: bool = True


def supervise(home: Home, config: GatewayConfig, wishes: Wishes) -> None:
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
    replica: Path, config: GatewayConfig, wishes: Wishes, listener: socket.socket
) -> list[Child]:
    """Give the replica's processes, not yet started."""
    workers = [_make_worker(replica, f"w{place}", listener) for place in range(config.workers)]
    fetcher = Child("the fetcher", lambda: ["-m", "serving.fetching"])
    writer = Child("the log-writer", lambda: ["-m", "serving.log_writer"])
    parts = [*([fetcher] if wishes.fetcher else []), *([writer] if wishes.log_writer else [])]
    return [*workers, *parts]


def settle_dead(replica: Path) -> None:
    """Finish the counters of workers that are gone; a full disk is tried again later."""
    for life in list_lives(replica):
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
        return ["-m", "serving.worker", *place, "--name", name, "--started", str(time.time_ns())]

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

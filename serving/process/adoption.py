"""How workers outlive their supervisor, and how the next one of the replica adopts them.

Each worker has a Unix socket in the replica's folder. Who connects gets the worker's facts, the
socket that callers connect to, and from then on its heartbeats; when the connection ends, the
worker has ended. So callers notice nothing of a supervisor's death, and the port is never given up.
"""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from serving.http.keys import VARIABLE
from serving.process.children import UNKNOWN
from sluice.adapters.heartbeat import ProcessHeartbeat, Watch
from sluice.config.llm.files import list_files
from sluice.config.serving import GatewayConfig
from sluice.documents import parse_json

SUFFIX = ".socket"
ASK_SECONDS = 5.0
"""How long a worker may take to answer; one that moves does so at once."""
POLL_SECONDS = 0.05
MOST_BYTES = 4096
NOT_READ = {"host", "port", "workers", "spare_worker", "replicas", "page"}
"""Settings that a worker does not read, or is told."""
LOG = logging.getLogger("sluice.gateway")


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker says of itself; `settings` is the digest of what it was started with.

    `address` is host and port as they were asked for.
    """

    name: str
    pid: int
    address: str
    settings: str
    is_draining: bool = False


def digest_settings(config: GatewayConfig) -> str:
    """Return a digest of everything that a worker reads once, when it starts.

    Raises:
        OSError: the file of keys, or one of language models, cannot be read.
    """
    text = config.model_dump_json(
        exclude={"host", "port", "workers", "spare_worker", "replicas", "page"}
    )
    keys = Path(config.keys_file).read_bytes() if config.keys_file else b""
    language = [file.read_bytes() for file in list_files()]
    parts = (text.encode(), keys, os.environ.get(VARIABLE, "").encode(), *language)
    return sha256(b"\0".join(sha256(part).digest() for part in parts)).hexdigest()


class AdoptionPoint:
    """A worker's side: it shows itself to the supervisors that come."""

    def __init__(self, replica: Path, facts: WorkerFacts, listener: socket.socket) -> None:
        """Open the socket; an older one of the same name is replaced.

        Raises:
            OSError: it cannot be created.
        """
        self._facts, self._listener = facts, listener
        self._path = replica / f"{facts.name}{SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        with _reach(self._path) as address:
            self._path.unlink(missing_ok=True)
            self._socket.bind(address)
        self._path.chmod(0o600)
        self._socket.listen(1)
        self._inode = self._path.stat().st_ino
        self.is_draining = False

    def open(self, heartbeat: ProcessHeartbeat) -> None:
        """Answer supervisors from the running event loop; they get heartbeats, too."""
        self._heartbeat = heartbeat
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._answer)

    def close(self) -> None:
        """Close the socket, and remove its file unless another worker has it by now."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _answer(self) -> None:
        with suppress(OSError):  # a supervisor that has gone again
            caller, _ = self._socket.accept()
            facts = json.dumps({**asdict(self._facts), "is_draining": self.is_draining}).encode()
            if self.is_draining:  # it gives the port up
                with caller:
                    caller.sendall(facts)
                return
            socket.send_fds(caller, [facts], [self._listener.fileno()])
            self._heartbeat.add(caller)


class AdoptedProcess:
    """A worker that is no child of this process; it has ended when its connection has."""

    def __init__(self, pid: int, watch: Watch) -> None:
        self._pid, self._watch = pid, watch

    @property
    def pid(self) -> int:
        """Its id."""
        return self._pid

    def poll(self) -> int | None:
        """Return a code once it has ended."""
        self._watch.read(time.monotonic())
        return UNKNOWN if self._watch.is_closed else None

    def wait(self, timeout: float) -> int:
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self._pid), timeout)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended: its id may be another process's by then.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.poll() is None:
            os.kill(self._pid, sig)


@dataclass(frozen=True)
class Adopted:
    """A worker of an earlier supervisor, with the listening socket that it passed on."""

    facts: WorkerFacts
    process: AdoptedProcess
    watch: Watch
    listener: socket.socket

    @property
    def name(self) -> str:
        """The worker's name, such as `w0`."""
        return self.facts.name


def find_workers(replica: Path) -> list[Adopted]:
    """Return the workers that an earlier supervisor left; files of dead ones are removed.

    One that is shutting down is left alone. One that does not answer, or not as a worker of this
    program does, is ended, where the system tells its id.
    """
    return [found for path in sorted(replica.glob(f"*{SUFFIX}")) if (found := _ask_worker(path))]


def _ask_worker(path: Path) -> Adopted | None:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(ASK_SECONDS)
    try:
        with _reach(path) as address:
            caller.connect(address)
        content, handles, _, _ = socket.recv_fds(caller, MOST_BYTES, 1)
        facts = WorkerFacts(**parse_json(content[: content.rindex(b"}") + 1]))
        if facts.is_draining:
            LOG.info("worker %s (process %d) is shutting down", facts.name, facts.pid)
            caller.close()
            return None
        listener = socket.socket(fileno=handles[0])
    except (ConnectionError, FileNotFoundError):
        path.unlink(missing_ok=True)  # it has ended
        caller.close()
        return None
    except (OSError, ValueError, TypeError, LookupError):
        _end_silent(path, caller)
        caller.close()
        return None
    watch = Watch(caller, time.monotonic())
    return Adopted(facts, AdoptedProcess(facts.pid, watch), watch, listener)


def _end_silent(path: Path, caller: socket.socket) -> None:
    """Kill the worker behind a connection that it does not answer."""
    pid = 0
    with suppress(OSError):
        if hasattr(socket, "SO_PEERCRED"):
            found = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            pid = int.from_bytes(found[:4], sys.byteorder)
    LOG.warning("worker %s (process %d) did not answer and is ended", path.stem, pid)
    if pid > 1:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    path.unlink(missing_ok=True)


@contextmanager
def _reach(path: Path) -> Iterator[str]:
    """Yield an address of a Unix socket that fits into the 100 bytes that systems allow."""
    if sys.platform != "linux" or len(os.fsencode(path)) < 100:
        yield str(path)
        return
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)

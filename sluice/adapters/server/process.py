"""The Prefect server as a separate process: start, record and end it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sluice.adapters.server.guard import HOST, list_hosts, list_origins
from sluice.adapters.server.login import make_login
from sluice.adapters.storage import try_lock
from sluice.documents import read_json
from sluice.errors import ServerUnavailable
from sluice.home import Home

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0
LARGEST_ID = 2**31 - 1
"""Largest id of a process on any system."""
# A shell's background job ignores SIGINT, and so would the server: it is set back before it starts.
LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "sluice.adapters.server.guard", *sys.argv[1:]])
"""
APPLICATION = ("tasks.deploy.server:create_app", "--factory")  # Prefect's, see there
_children: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class ServerRecord:
    """A state folder's server: its process (and process group) and its port."""

    pid: int
    port: int

    @property
    def api(self) -> str:
        """The API's address; the pages are at the same one without `/api`."""
        return f"http://{HOST}:{self.port}/api"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def read_record(home: Home) -> ServerRecord | None:
    """Return the state folder's server record, dead or alive; None if there is none."""
    try:
        values = read_json(_record_file(home))
        record = ServerRecord(pid=int(values["pid"]), port=int(values["port"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return record if 0 < record.pid <= LARGEST_ID else None


def is_alive(home: Home) -> bool:
    """Whether the state folder's server process is alive.

    The server holds a lock from start to end, whichever process started it; a process id could
    belong to another program by now.
    """
    try:
        with _alive_file(home).open("a") as file:
            return not try_lock(file, shared=True)
    except OSError:
        return False


def start_process(home: Home, port: int, environment: Mapping[str, str], log: Path) -> ServerRecord:
    """Start the server in its own process group and record it; do not wait until it is healthy.

    It answers to its own pages only, and its API to the state folder's login only.

    Raises:
        ServerUnavailable: a server of this state folder runs already.
        OSError: a file cannot be written.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with _alive_file(home).open("a") as alive, log.open("ab") as output:
        deadline = time.monotonic() + 2.0
        while not try_lock(alive):
            if time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"a Prefect server of {home.root} runs without a record; end it, then try again"
                )
            time.sleep(POLL_SECONDS)
        command = [sys.executable, "-S", "-c", LAUNCH, *APPLICATION, "--port", str(port)]
        command += ["--users-of", str(home.root)]
        process = subprocess.Popen(  # noqa: S603
            command,
            env={**environment, **_protect(home, port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(alive.fileno(),),
            start_new_session=True,
        )
    _children.append(process)
    record = ServerRecord(pid=process.pid, port=port)
    draft = _record_file(home).with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
    draft.replace(_record_file(home))
    return record


def _protect(home: Home, port: int) -> dict[str, str]:
    login = make_login(home)
    return {
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(list_origins(list_hosts(port))),
        "PREFECT__SERVER_FINAL": "1",  # as `prefect server start` does: less memory
    }


def stop_process(home: Home, record: ServerRecord) -> None:
    """End the server's whole process group: SIGTERM first, SIGKILL after 10 s."""
    try:
        if is_alive(home):
            _signal_group(record.pid, signal.SIGTERM)
            _await_end(home, STOP_SECONDS)
    finally:
        if is_alive(home):
            _signal_group(record.pid, signal.SIGKILL)
            _await_end(home, STOP_SECONDS)
        _reap(record.pid)


def _await_end(home: Home, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while is_alive(home) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _reap(pid: int) -> None:
    for process in [child for child in _children if child.pid == pid]:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
            _children.remove(process)


def _record_file(home: Home) -> Path:
    return home.root / "server.json"


def _alive_file(home: Home) -> Path:
    return home.root / "server.alive"

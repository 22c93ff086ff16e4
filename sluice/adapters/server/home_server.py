"""The Prefect server of a state folder: started by its first user, ended by its last.

Each process that uses the server holds a shared lock on a file. The first one starts the server.
Each that leaves checks whether another process holds the lock, and ends the server if none does.
So a server never ends while another process uses it, and a server whose users were all killed is
found, used and ended by the next user.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from sluice.adapters.server.api import is_healthy, is_of_home, is_refused
from sluice.adapters.server.background import last_line
from sluice.adapters.server.login import read_login
from sluice.adapters.server.ports import name_user
from sluice.adapters.server.process import (
    ServerRecord,
    is_alive,
    is_free,
    read_record,
    start_process,
    stop_process,
)
from sluice.adapters.storage import hold_lock, try_lock
from sluice.errors import ServerUnavailable
from sluice.home import Home

START_SECONDS = 180.0
REPORT_SECONDS = 3.0
POLL_SECONDS = 0.1
PORTS = 20
"""How many ports are tried, the preferred one first."""
LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def server_environment(home: Home) -> dict[str, str]:
    """Return the environment variables of all processes of this state folder.

    `PREFECT_API_URL` is among them if the caller's environment names a server or the state
    folder's own is alive, and with the latter its login, which no other server gets. Telemetry is
    off; results are never pickled; leases survive a restart of the server; no flow starts a
    short-lived server beside the one that holds the database.
    """
    record = read_record(home)
    own = record.api if record and is_alive(home) else ""
    api = os.environ.get("PREFECT_API_URL", "") or own
    login = read_login(home) if own and api.rstrip("/") == own else ""
    return {
        "SLUICE_HOME": str(home.root),
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        **({"PREFECT_API_URL": api} if api else {}),
        **({"PREFECT_API_AUTH_STRING": login} if login else {}),
    }


@contextmanager
def run_server(home: Home, port: int = 4200, *, report: Callable[[str], None]) -> Iterator[str]:
    """Yield the API address of a server that answers while the block runs.

    It is the server that `PREFECT_API_URL` names, else the state folder's own, started if it does
    not run, on `port` or the next free one. The pages are at the same address without `/api`.
    SIGTERM and SIGHUP end the block as Ctrl-C does.

    Raises:
        ServerUnavailable: the named server does not answer or refuses the login, or none can be
            started.
    """
    named = _find_named(home)
    if named:
        report(f"using the Prefect server at {named}")
        yield named
        return
    with _translate_signals():
        users, record = _join(home, port, report)
        try:
            yield record.api
        finally:
            _leave(home, users)


def revive_server(home: Home, port: int, report: Callable[[str], None]) -> None:
    """Start the state folder's server again on its port; the caller must be one of its users.

    Raises:
        ServerUnavailable: the port has been taken, or the server does not come up.
    """
    with hold_lock(home.root / "server.lock", START_SECONDS, _report_waiting(report)):
        if is_alive(home):
            return  # another process restarted it
        if not is_free(port):
            user = name_user(port) or "another program"
            raise ServerUnavailable(f"port {port} of the Prefect server is taken by {user}")
        _start(home, port, report)


def is_own(home: Home, api: str) -> bool:
    """Whether the API at the address is that of the state folder's own server, which is alive."""
    record = read_record(home)
    return record is not None and record.api == api.rstrip("/") and is_alive(home)


def _find_named(home: Home) -> str:
    """Return the address of the server that the environment names; empty for our own or none."""
    named = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    own = read_record(home)
    if not named or (own and own.api == named and (is_alive(home) or not is_healthy(named))):
        return ""
    if not is_healthy(named):
        raise ServerUnavailable(
            f"no Prefect server answers at {named}, which PREFECT_API_URL names;"
            " start that one, or unset the variable to use the state folder's own"
        )
    if is_refused(named):
        raise ServerUnavailable(
            f"the Prefect server at {named}, which PREFECT_API_URL names, refuses the login; next:"
            " set PREFECT_API_AUTH_STRING to the line in `prefect-login` of the state folder that"
            " started it, or PREFECT_API_KEY to its key"
        )
    return named


def _join(home: Home, port: int, report: Callable[[str], None]) -> tuple[IO[str], ServerRecord]:
    """Become a user of the state folder's server; start it if it does not run."""
    try:
        with hold_lock(home.root / "server.lock", START_SECONDS, _report_waiting(report)):
            users = _users_file(home).open("a")
            try:
                try_lock(users, shared=True)
                return users, _find_running(home, report) or _start(home, port, report)
            except BaseException:
                users.close()
                raise
    except OSError as error:
        raise ServerUnavailable(f"the Prefect server of {home.root}: {error}") from error


def _leave(home: Home, users: IO[str]) -> None:
    """Stop being a user of the server; the last user ends it."""
    with hold_lock(home.root / "server.lock", START_SECONDS):
        users.close()
        record = read_record(home)
        with _users_file(home).open("a") as others:
            if record and try_lock(others):
                stop_process(home, record)


def _find_running(home: Home, report: Callable[[str], None]) -> ServerRecord | None:
    record = read_record(home)
    if record is None or not is_alive(home):
        return None
    if not _await_health(home, record, report):
        return None
    report(f"using the Prefect server at {_page(record)}")
    return record


def _start(home: Home, port: int, report: Callable[[str], None]) -> ServerRecord:
    log = home.logs / "prefect-server.log"
    for candidate in range(port, port + PORTS):
        if not is_free(candidate):
            user = name_user(candidate) or "another program"
            report(f"port {candidate} is taken by {user}; trying {candidate + 1}")
            continue
        first = "" if (home.prefect / "prefect.db").exists() else "; it creates its database first"
        report(f"starting the Prefect server at http://127.0.0.1:{candidate}{first}")
        record = _launch(home, candidate, log)
        try:
            if _await_health(home, record, report):
                return record
        except BaseException:
            stop_process(home, record)
            raise
        stop_process(home, record)  # it ended by itself: only reap it
        if is_free(candidate):
            raise ServerUnavailable(f"the Prefect server ended while starting: {last_line(log)}")
        # Another program took the port between our check and the server's start.
    raise ServerUnavailable(f"ports {port} to {port + PORTS - 1} are all taken; free one of them")


def _launch(home: Home, port: int, log: Path) -> ServerRecord:
    environment = {**os.environ, **server_environment(home)}
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"  # what its pages call
    # The terminal's own format is not the server's.
    environment.pop("PREFECT_LOGGING_SETTINGS_PATH", None)
    home.prefect.mkdir(parents=True, exist_ok=True)
    return start_process(home, port, environment, log)


def _await_health(home: Home, record: ServerRecord, report: Callable[[str], None]) -> bool:
    """Wait until the server answers; return False if its process ended instead.

    Raises:
        ServerUnavailable: it runs and does not answer in time.
    """
    began = reported = time.monotonic()
    while is_alive(home):
        # A server of another state folder on the same port could answer the health check.
        if is_healthy(record.api) and is_of_home(record.api, home.prefect, read_login(home)):
            return True
        now = time.monotonic()
        if now - began > START_SECONDS:
            raise ServerUnavailable(
                f"the Prefect server at {_page(record)} does not answer after {START_SECONDS:.0f} s"
            )
        if now - reported >= REPORT_SECONDS:
            report(f"  the Prefect server is starting, {now - began:.0f} s")
            reported = now
        time.sleep(POLL_SECONDS)
    return False


def _report_waiting(report: Callable[[str], None]) -> Callable[[float], None]:
    reported = [-REPORT_SECONDS]

    def report_waiting(waited: float) -> None:
        if waited - reported[0] >= REPORT_SECONDS:
            report(f"  another process starts or ends the Prefect server here, {waited:.0f} s")
            reported[0] = waited

    return report_waiting


@contextmanager
def _translate_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the call stack, which they do not by default."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    ours = []
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGTERM, signal.SIGHUP)
        ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _users_file(home: Home) -> Path:
    return home.root / "server.users"


def _page(record: ServerRecord) -> str:
    return record.api.removesuffix("/api")

"""Parts of the local stack: the registry's pages, the gateway, the status page."""

import http.client
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.server.guard import HOST
from sluice.adapters.server.ports import is_used_by, name_user
from sluice.adapters.server.process import is_free
from sluice.adapters.server.process_tree import mark_part
from sluice.errors import ServerUnavailable
from sluice.home import Home

PAGES_PORT, PORTS = 5000, 20
START_SECONDS, PAGES_STOP_SECONDS, POLL_SECONDS = 90.0, 3.0, 0.2
PAGES_APPLICATION = "mlflow.server.fastapi_app:app"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that nothing here uses
}


@contextmanager
def run_registry_pages(
    home: Home, report: Callable[[str], None], port: int = PAGES_PORT
) -> Iterator[str]:
    """Serve the registry's pages on the port or the next free one; yield their address.

    Raises:
        ServerUnavailable: they do not come up.
    """
    pages = ListeningPart(REGISTRY_PAGES, home, port, report)
    pages.start()
    try:
        pages.await_answer()
        yield pages.address
    finally:
        pages.stop()


def choose_port(
    port: int, report: Callable[[str], None], subject: str = "the MLflow pages are"
) -> int:
    """Return the port, or the next free one if it is taken; `subject` is what listens there.

    Raises:
        ServerUnavailable: the next ones are all taken, too.
    """
    chosen = next((item for item in range(port, port + PORTS) if is_free(item)), 0)
    if not chosen:
        raise ServerUnavailable(f"ports {port} to {port + PORTS - 1} are all taken; free one")
    if chosen != port:
        user = name_user(port) or "another program"
        report(f"port {port} is taken by {user}; {subject} at {chosen}")
    return chosen


def start_pages(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    """Start the registry's pages without waiting for them; `mark` goes into their environment."""
    arguments = ["-m", "sluice.adapters.server.guard", PAGES_APPLICATION, "--port", str(port)]
    environment = {**os.environ, **QUIET, **describe_stores(home), **mark}
    log = home.logs / "mlflow-pages.log"
    return start_background("the MLflow server", arguments, environment, log, home.root)


def describe_stores(home: Home) -> dict[str, str]:
    """Return the variables by which `mlflow server` tells its own worker where the stores are.

    The database's URL may hold a password, which other users would read in a command line.
    """
    return {
        "_MLFLOW_SERVER_FILE_STORE": home.tracking_uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": home.tracking_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": home.model_artifacts.as_uri(),
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
    }


def format_address(port: int) -> str:
    """Return the address of a port on this machine."""
    return f"http://{HOST}:{port}"


GATEWAY = "gateway"
GATEWAY_PORT = 8080
GATEWAY_STOP_SECONDS = 25.0
"""Requests in flight finish first, and all answers are logged."""


def start_gateway(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    """Start the gateway on a loopback port; it answers once it has looked for its models."""
    arguments = ["-m", "serving", "--host", "127.0.0.1", "--port", str(port)]
    log = home.logs / "gateway.log"
    return start_background("the gateway", arguments, {**os.environ, **mark}, log, home.root)


STATUS_PAGE = "status page"
STATUS_PAGE_PORT = 8090
STATUS_PAGE_STOP_SECONDS = 5.0


def start_status_page(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    """Start the status page on a loopback port; it reads the control store on request."""
    arguments = ["-m", "serving.page", "--host", "127.0.0.1", "--port", str(port)]
    log = home.logs / "status-page.log"
    return start_background("the status page", arguments, {**os.environ, **mark}, log, home.root)


@dataclass(frozen=True)
class PartKind:
    """A part that listens: its name in marks, its words, its path of health, how it starts."""

    name: str
    subject: str
    health: str
    stop_seconds: float
    start: Callable[[Home, int, Mapping[str, str]], BackgroundProcess]


PAGES = "pages"
REGISTRY_PAGES = PartKind(PAGES, "the MLflow pages are", "/health", PAGES_STOP_SECONDS, start_pages)
GATEWAY_PART = PartKind(GATEWAY, "the gateway is", "/healthz", GATEWAY_STOP_SECONDS, start_gateway)
STATUS_PART = PartKind(
    STATUS_PAGE, "the status page is", "/healthz", STATUS_PAGE_STOP_SECONDS, start_status_page
)


class ListeningPart:
    """A part on a loopback port, or on the next one that is free when it starts to listen.

    Two stacks that start at once may both find a port free; the one that is later moves on.
    """

    def __init__(
        self, kind: PartKind, home: Home, port: int, report: Callable[[str], None]
    ) -> None:
        self.kind, self.port = kind, port
        self._home, self._report = home, report
        self._last = port + PORTS
        self.process: BackgroundProcess | None = None

    @property
    def address(self) -> str:
        """Its address; final once it answers."""
        return format_address(self.port)

    @property
    def has_ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self.process is not None and not self.process.is_alive

    def start(self) -> None:
        """Start it on its port or the next free one, without waiting for it.

        Raises:
            ServerUnavailable: the next ones are all taken, too.
        """
        self.port = choose_port(self.port, self._report, self.kind.subject)
        self.restart()

    def restart(self) -> None:
        """Start it on its port."""
        self.process = self.kind.start(self._home, self.port, mark_part(self._home, self.kind.name))

    def await_answer(self) -> None:
        """Wait until it answers; if another program took its port meanwhile, try the next.

        Raises:
            ServerUnavailable: it was not started, ended by itself, or does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while self.process and time.monotonic() < deadline:
            if not self.process.is_alive:
                if is_free(self.port) or self.port >= self._last:
                    raise ServerUnavailable(f"{self.process.describe_end()}, while starting")
                self.start()
            elif self._answers() and is_used_by(self.port, self.process.pid):
                return
            time.sleep(POLL_SECONDS)
        log = self.process.log if self.process else self._home.logs
        raise ServerUnavailable(f"{self.kind.name}: no answer at {self.address}; see {log}")

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(urllib.error.URLError, OSError, http.client.HTTPException):
            opener.open(f"{self.address}{self.kind.health}", timeout=2).close()
            return True
        return False

    def stop(self, is_urgent: Callable[[], bool] = lambda: False) -> None:
        """End it, if it was started."""
        if self.process:
            self.process.stop(signal.SIGTERM, self.kind.stop_seconds, is_urgent)

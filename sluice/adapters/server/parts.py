"""Parts of the local stack: the registry's pages, the gateway, the rollout page."""

import http.client
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from sluice.adapters.server.background import BackgroundProcess, start_background
from sluice.adapters.server.guard import HOST
from sluice.adapters.server.ports import name_user
from sluice.adapters.server.process import is_free
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
    chosen = choose_port(port, report)
    pages = start_pages(home, chosen, {})
    try:
        await_pages(pages, chosen)
        yield format_address(chosen)
    finally:
        pages.stop(signal.SIGTERM, PAGES_STOP_SECONDS)


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
    """Start the pages' server without waiting for it; `mark` goes into its environment."""
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


def await_pages(pages: BackgroundProcess, port: int, path: str = "/health") -> None:
    """Wait until the pages, or another server with a health path, answer.

    Raises:
        ServerUnavailable: the server ended instead, or does not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if not pages.is_alive:
            raise ServerUnavailable(f"{pages.describe_end()}, while starting")
        with suppress(urllib.error.URLError, OSError, http.client.HTTPException):
            opener.open(f"{format_address(port)}{path}", timeout=2).close()
            return
        time.sleep(POLL_SECONDS)
    raise ServerUnavailable(
        f"{pages.name} does not answer at {format_address(port)}; see {pages.log}"
    )


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


ROLLOUT_PAGE = "rollout page"
ROLLOUT_PAGE_PORT = 8090
ROLLOUT_PAGE_STOP_SECONDS = 5.0


def start_rollout_page(home: Home, port: int, mark: Mapping[str, str]) -> BackgroundProcess:
    """Start the rollout page on a loopback port; it reads the control store on request."""
    arguments = ["-m", "serving.page", "--host", "127.0.0.1", "--port", str(port)]
    log = home.logs / "rollout-page.log"
    return start_background("the rollout page", arguments, {**os.environ, **mark}, log, home.root)

"""The registry's own pages, served on loopback for as long as somebody looks."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sluice.adapters.server.process import HOST, is_free
from sluice.errors import ServerUnavailable
from sluice.home import Home

PORT, PORTS = 5000, 20
START_SECONDS, STOP_SECONDS = 90.0, 3.0


@contextmanager
def run_registry_pages(home: Home, report: Callable[[str], None]) -> Iterator[str]:
    """Serve the registry's pages on port 5000 or the next free one; give their address.

    Raises:
        ServerUnavailable: they do not come up.
    """
    port = next((item for item in range(PORT, PORT + PORTS) if is_free(item)), 0)
    if not port:
        raise ServerUnavailable(f"ports {PORT} to {PORT + PORTS - 1} are all taken; free one")
    if port != PORT:
        report(f"port {PORT} is taken; the MLflow pages come at {port}")
    home.logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", HOST]
    command += ["--port", str(port), "--backend-store-uri", home.tracking_uri]
    command += ["--default-artifact-root", home.model_artifacts.as_uri()]
    with (home.logs / "mlflow-pages.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            command,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://{HOST}:{port}"
        _await_pages(process, address, str(home.logs / "mlflow-pages.log"))
        yield address
    finally:
        _stop(process)


def _await_pages(process: "subprocess.Popen[bytes]", address: str, log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerUnavailable(f"the MLflow pages ended while starting; see {log}")
        with suppress(urllib.error.URLError, OSError):
            opener.open(f"{address}/health", timeout=2).close()
            return
        time.sleep(0.2)
    raise ServerUnavailable(f"the MLflow pages do not answer at {address}; see {log}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return

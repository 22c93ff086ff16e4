"""A stack of its own, whose server and worker a test may kill and start again."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.server.api import is_healthy
from sluice.adapters.server.home_server import server_environment
from sluice.adapters.server.login import make_login
from sluice.adapters.server.process import read_record, start_process, stop_process
from sluice.adapters.storage import try_lock
from sluice.home import CONFIGS, Home
from support.releases.runs import write_service
from support.servers.images import add_registry_database, add_server_database
from support.servers.ports import find_free_port
from support.servers.stack import POOL, ask, await_answer, run_prefect

START_SECONDS = 180.0
OTHER = "other"
"""The second service; its file differs from the first one's by the name only."""


@dataclass(frozen=True)
class Stack:
    """A state folder with a Prefect server on its own port, and its deployments' ids."""

    home: Home
    port: int
    deployments: dict[str, Any]

    def create_run(self, flow: str, **parameters: Any) -> Any:
        return ask(
            lambda client: client.create_flow_run_from_deployment(
                self.deployments[flow], parameters=parameters
            )
        )

    def kill_server(self) -> None:
        record = read_record(self.home)
        assert record is not None
        os.killpg(record.pid, signal.SIGKILL)
        stop_process(self.home, record)


def start_server(home: Home, port: int) -> None:
    start_process(home, port, os.environ, home.logs / "prefect-server.log")
    assert await_answer(lambda: is_healthy(f"http://127.0.0.1:{port}/api"), START_SECONDS)


def deploy_flow(name: str) -> Any:
    """Deploy a flow to the pool so that its runs outlive their worker; return its id."""

    def make(client: Any) -> Any:
        return client.create_deployment(
            flow_id=client.create_flow_from_name(name),
            name=name,
            entrypoint=f"flows.{name}.{name}",
            work_pool_name=POOL,
            pull_steps=[],
            job_variables={"stream_output": False},
        )

    return ask(make)


@contextmanager
def run_stack(root: Path, flows: tuple[str, ...] = ("release", "ingest")) -> Iterator[Stack]:
    """Run a Prefect server of a state folder, with two services and some deployed flows."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    home, port = add_registry_database(add_server_database(Home(root))), find_free_port()
    api = f"http://127.0.0.1:{port}/api"
    for name in ("employment", OTHER):
        write_service(root / "configs", name)
    shutil.copy(CONFIGS / "development.yaml", root / "configs")  # the same data is released again
    with pytest.MonkeyPatch.context() as patch, (home.root / "server.users").open("a") as users:
        try_lock(users, shared=True)  # a server without users ends after five minutes
        patch.setenv("PREFECT_API_URL", api)
        for name, value in server_environment(home).items():
            patch.setenv(name, value)
        patch.setenv("SLUICE_CONFIGS", str(root / "configs"))
        patch.setenv("PREFECT_API_AUTH_STRING", make_login(home))
        settings = {PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: make_login(home)}
        try:
            start_server(home, port)
            created = run_prefect("work-pool", "create", POOL, "--type", "process")
            assert created.returncode == 0, created.stdout + created.stderr
            with temporary_settings(settings):
                deployments = {name: deploy_flow(name) for name in flows}
                yield Stack(home, port, deployments)
        finally:
            record = read_record(home)
            if record:
                stop_process(home, record)


def find_flow_process(flow_run: str) -> int:
    """Return the process of a flow run, 0 if there is none."""
    mark = f"PREFECT__FLOW_RUN_ID={flow_run}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (place / "environ").read_bytes().split(b"\0"):
                return int(place.name)
        except OSError:
            continue
    return 0


@contextmanager
def run_registry_server(home: Home, port: int, log: Path) -> Iterator[Callable[[float], None]]:
    """Run an MLflow server with its own files; return what kills it, waits and restarts it."""
    home.mlflow.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{home.mlflow}/mlflow.db"]
    command += ["--artifacts-destination", home.model_artifacts.as_uri()]
    # As in the local stack: seven processes that nothing here uses.
    surroundings = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, env=surroundings, stdout=output, stderr=output, start_new_session=True
            )
        running.append(process)
        deadline = time.monotonic() + START_SECONDS
        while not is_answering(port):
            found = log.read_text(encoding="utf-8")
            assert process.poll() is None, found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def end() -> None:
        process = running.pop()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def restart_after(seconds: float) -> None:
        end()
        time.sleep(seconds)
        start()

    try:
        start()
        yield restart_after
    finally:
        if running:
            end()


def is_answering(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):  # no server yet, or one that cannot answer yet
        return False

"""The stack in tests: deploying to the session's server, workers, runs created through the API."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sluice.home import PROJECT, Home

POOL = "sluice"
FILE = PROJECT / "deployments.yaml"
RUN_SECONDS, STOP_SECONDS = 180.0, 30.0
# A background job ignores SIGINT, and so would the worker: it is set back before it starts.
LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "prefect", *sys.argv[1:]])
"""


def run_prefect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def create_pool() -> None:
    """Create our pool on the session's server as `prefect work-pool create` does."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    ask(lambda client: client.create_work_pool(pool))


def deploy(file: Path = FILE, prune: bool = False, quiet: bool = False) -> list[str]:
    """Deploy a file to the session's server; return what was reported."""
    from tasks.deploy.deployments import deploy_file

    lines: list[str] = []
    deploy_file(file, lines.append, prune, quiet=quiet)
    return lines


def remove_all() -> None:
    """Remove all that `sluice deploy` makes from the session's server, which other files share."""
    for item in find_deployments().values():
        remove_deployment(item)
    ask(lambda client: client.delete_work_pool(POOL))
    for item in ask(lambda client: client.read_automations()):
        if "notification" in item.tags:
            ask(lambda client, found=item: client.delete_automation(found.id))
    for item in ask(lambda client: client.read_block_documents()):
        if str(item.name).startswith("sluice-"):
            ask(lambda client, found=item: client.delete_block_document(found.id))


def remove_deployment(item: Any) -> None:
    resource = f"prefect.deployment.{item.id}"
    ask(lambda client: client.delete_resource_owned_automations(resource))
    ask(lambda client: client.delete_deployment(item.id))


def find_runs(deployment: Any) -> list[Any]:
    """Return a deployment's flow runs except those that a schedule created."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    found = ask(lambda client: client.read_flow_runs(deployment_filter=one))
    return [run for run in found if not run.auto_scheduled]


def ask(question: Callable[[Any], Any]) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return question(client)


def await_answer(question: Callable[[], Any], seconds: float) -> Any:
    """Repeat a question until the answer is not empty or time is up; return the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer


def find_deployments() -> dict[str, Any]:
    """Return the server's deployments by `flow/deployment`."""
    found = ask(lambda client: client.read_deployments())
    flows = {item.id: item.name for item in ask(lambda client: client.read_flows())}
    return {f"{flows[item.flow_id]}/{item.name}": item for item in found}


@contextmanager
def run_worker(log: Path, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process group of its own, which is empty when the block has ended."""
    command = [sys.executable, "-c", LAUNCH, "worker", "start", "--pool", POOL, "--name", "one"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PREFECT_WORKER_QUERY_SECONDS": "1", **variables},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def create_run(deployment: Any, **parameters: Any) -> Any:
    """Create a run of a deployment through the API."""
    return ask(
        lambda client: client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
    )


def await_final(run: Any, seconds: float = RUN_SECONDS) -> Any:
    """Wait for a flow run's final state; None if it has none in time."""

    def read_final() -> Any:
        state = ask(lambda client: client.read_flow_run(run.id)).state
        return state if state.is_final() else None

    return await_answer(read_final, seconds)


def count_versions(home: Home, service: str = "employment") -> int:
    """Return how many model versions of a service a state folder's registry has."""
    from mlflow import MlflowClient

    return len(MlflowClient(home.tracking_uri).search_model_versions(f"name='{service}'"))

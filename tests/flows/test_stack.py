"""The whole Prefect stack as a team runs it: server, pool, deployments, schedule, worker."""

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

from sluice.adapters.delta import list_versions
from sluice.home import PROJECT, SAMPLES, Home
from support import session_root

pytestmark = pytest.mark.slow

POOL = "sluice"
FILE = PROJECT / "deployments.yaml"
EXPECTED = {"release/release", "ingest/ingest", "promote/promote"}
SCHEDULE_SECONDS, RUN_SECONDS, STOP_SECONDS = 30.0, 120.0, 30.0
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


def deploy_all() -> "subprocess.CompletedProcess[str]":
    return run_prefect("deploy", "--all", "--prefect-file", str(FILE), "--no-prompt")


def ask(question: Callable[[Any], Any]) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return question(client)


def await_answer(question: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is not empty or the time is over; give the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer


def find_deployments() -> dict[str, Any]:
    """Give the server's deployments by `flow/deployment`."""
    found = ask(lambda client: client.read_deployments())
    flows = {item.id: item.name for item in ask(lambda client: client.read_flows())}
    return {f"{flows[item.flow_id]}/{item.name}": item for item in found}


@pytest.fixture(scope="module")
def server_log(api: str) -> Path:
    return Home(session_root()).logs / "prefect-server.log"


@pytest.fixture(scope="module")
def deployed(server_log: Path) -> Iterator[dict[str, Any]]:
    """The deployments of `deployments.yaml`, deployed twice; gone from the server at the end."""
    log_size = server_log.stat().st_size
    made = run_prefect("work-pool", "create", POOL, "--type", "process")
    assert made.returncode == 0, made.stdout + made.stderr
    before = set(PROJECT.iterdir())
    try:
        for _ in range(2):
            ended = deploy_all()
            assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(PROJECT.iterdir()) == before
        yield find_deployments()
    finally:
        for item in find_deployments().values():
            ask(lambda client, item=item: client.delete_deployment(item.id))
        ask(lambda client: client.delete_work_pool(POOL))
    assert "Traceback" not in server_log.read_text(encoding="utf-8")[log_size:]


@contextmanager
def run_worker(log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process group of its own, which is empty when the block has ended."""
    command = [sys.executable, "-c", LAUNCH, "worker", "start", "--pool", POOL, "--name", "one"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PREFECT_WORKER_QUERY_SECONDS": "1"},
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


def test_deploying_twice_leaves_everything_once(deployed: dict[str, Any]) -> None:
    assert set(deployed) == EXPECTED
    assert len(ask(lambda client: client.read_deployments())) == len(EXPECTED)
    schedules = {name: [item.slug for item in found.schedules] for name, found in deployed.items()}
    assert schedules == {"release/release": ["weekly"], "ingest/ingest": [], "promote/promote": []}


def test_deployments_ask_for_what_the_flows_take(deployed: dict[str, Any]) -> None:
    assert {item.work_pool_name for item in deployed.values()} == {POOL}
    assert deployed["release/release"].parameters == {"service": "employment", "cause": "weekly"}
    for item in deployed.values():
        properties = item.parameter_openapi_schema["properties"]
        assert all(value["description"] for value in properties.values())
    limits = {name: item.global_concurrency_limit for name, item in deployed.items()}
    assert limits["release/release"].limit == 1
    assert limits["ingest/ingest"].limit == 1


def test_schedule_produces_runs(deployed: dict[str, Any]) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
    from prefect.client.schemas.objects import StateType

    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployed["release/release"].id]))

    def find_runs() -> list[Any]:
        return list(ask(lambda client: client.read_flow_runs(deployment_filter=one)))

    runs = await_answer(find_runs, SCHEDULE_SECONDS)
    assert runs
    assert {run.state.type for run in runs} == {StateType.SCHEDULED}
    moments = [run.expected_start_time for run in runs]
    assert {(moment.weekday(), moment.hour, moment.minute) for moment in moments} == {(0, 3, 0)}


def test_worker_takes_a_file_in(deployed: dict[str, Any], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = SAMPLES / "acs_employment_2015.parquet"
    run = ask(
        lambda client: client.create_flow_run_from_deployment(
            deployed["ingest/ingest"].id,
            parameters={"service": "employment", "file": str(file)},
            job_variables={"env": {"SLUICE_HOME": str(home.root)}},
        )
    )
    log = tmp_path / "worker.log"
    with run_worker(log):

        def read_final() -> Any:
            state = ask(lambda client: client.read_flow_run(run.id)).state
            return state if state.is_final() else None

        state = await_answer(read_final, RUN_SECONDS)
    written = log.read_text(encoding="utf-8", errors="replace")
    assert state is not None, written
    assert state.is_completed(), f"{state.message}\n{written}"
    assert "Traceback" not in written
    versions = list_versions(home.table("employment"), "employment")
    assert [(item.version, item.rows) for item in versions] == [(0, 12_000)]


def test_wrong_parameter_is_refused_when_the_run_is_asked_for(deployed: dict[str, Any]) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    with pytest.raises(PrefectHTTPStatusError, match="409"):
        ask(
            lambda client: client.create_flow_run_from_deployment(
                deployed["release/release"].id, parameters={"data_version": "latest"}
            )
        )

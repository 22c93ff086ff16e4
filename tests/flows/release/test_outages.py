"""Server, worker or flow killed during a release, on an own local stack with a real worker."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import append_batch, list_versions
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.control.admission import GATES
from sluice.home import SAMPLES, Home
from support.releases.runs import describe_state, runs_of, spans_of, versions_of
from support.servers.outages import OTHER, Stack, find_flow_process, run_stack, start_server
from support.servers.stack import ask, await_answer, await_final, run_worker
from tasks.run.leases import TTL_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.faults]

OUTAGE_SECONDS = 10.0
FIND_SECONDS, END_SECONDS = 300.0, 600.0
FILE = SAMPLES / "acs_employment_2015.parquet"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a local stack with two services that have 2015 ingested, and no model yet."""
    root = tmp_path_factory.mktemp("outages")
    config = load_service("employment", "development")
    for service in ("employment", OTHER):
        batch = read_batch(FILE, config.data)
        append_batch(Home(root).table(service), batch, {"source": FILE.name}, config.data.id)
    open_registry(Home(root)).prepare()
    with run_stack(root) as found:
        yield found


def await_open(home: Home, service: str = "employment") -> Any:
    """Wait until a release of the service is in progress; return its registry run."""

    def find_open() -> list[Any]:
        return [run for run in runs_of(home, service) if run.info.status == "RUNNING"]

    found = await_answer(find_open, FIND_SECONDS)
    assert found
    return found[0]


def await_begun(run: Any) -> None:
    """Wait until the run has logged; without a server at its start it may be Crashed."""
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    assert await_answer(lambda: ask(lambda client: client.read_logs(wanted, limit=1)), FIND_SECONDS)


def end_of(run: Any, log: Path) -> Any:
    state = await_final(run, END_SECONDS)
    assert state is not None, log.read_text(encoding="utf-8", errors="replace")
    return state


def artifacts_of_run(flow_run: Any) -> set[str]:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
    found = ask(lambda client: client.read_artifacts(artifact_filter=wanted))
    return {item.key for item in found}


def test_releases_outlive_a_killed_server_one_after_the_other(stack: Stack, tmp_path: Path) -> None:
    home, log = stack.home, tmp_path / "worker.log"
    runs = [stack.create_run("release", service="employment", cause=name) for name in "ab"]
    with run_worker(log):
        await_open(home)
        stack.kill_server()
        time.sleep(OUTAGE_SECONDS)
        start_server(home, stack.port)
        states = [end_of(run, log) for run in runs]
    assert [state.name for state in states] == ["Completed", "Completed"], states
    assert sorted(versions_of(home).values()) == sorted(str(run.id) for run in runs)
    assert [run.info.status for run in runs_of(home)] == ["FINISHED", "FINISHED"]
    (_, first_end), (second_start, _) = spans_of(home)
    assert first_end <= second_start
    gates = {f"employment-verdict-{gate}" for gate in GATES}
    assert all(gates <= artifacts_of_run(run) for run in runs)
    state = describe_state(home)
    assert (state["models"], state["scratch"]) == ({"champion": 1, "candidate": 2}, [])
    (claim,) = open_control(home).causes.list_claims("employment")
    assert claim.outcome == "registered it"
    assert open_control(home).leases.find("employment", "release").is_free


def test_a_killed_release_is_followed_and_another_service_runs_beside_it(
    stack: Stack, tmp_path: Path
) -> None:
    home, log = stack.home, tmp_path / "worker.log"
    before = len(runs_of(home)), set(versions_of(home).values())
    pair = [stack.create_run("release", service="employment", cause=name) for name in "cd"]
    parallel = stack.create_run("release", service=OTHER, cause="parallel")
    with run_worker(log):
        first = await_open(home)
        await_open(home, OTHER)
        killed = first.data.tags["prefect.flow_run_id"]
        (waiting,) = [run for run in pair if str(run.id) != killed]
        process = await_answer(lambda: find_flow_process(killed), 10.0)
        os.kill(process, signal.SIGKILL)
        moment = time.time() * 1000
        states = {str(run.id): end_of(run, log) for run in [*pair, parallel]}
    assert states[killed].name == "Crashed"
    assert states[str(waiting.id)].name == "Completed"
    assert states[str(parallel.id)].name == "Completed"
    dead, successor = runs_of(home)[before[0] :]
    assert [dead.info.status, successor.info.status] == ["KILLED", "FINISHED"]
    assert dead.data.tags["sluice.successor"] == successor.info.run_id
    waited = (successor.info.start_time - moment) / 1000
    assert waited > TTL_SECONDS * 0.6
    (start, end) = spans_of(home, OTHER)[0]
    assert start < moment < end
    assert set(versions_of(home).values()) - before[1] == {str(waiting.id)}
    assert list(versions_of(home, OTHER).values()) == [str(parallel.id)]
    assert describe_state(home)["scratch"] == []


def test_a_release_outlives_its_worker_and_is_not_done_again(stack: Stack, tmp_path: Path) -> None:
    from prefect.states import Scheduled

    home, logs = stack.home, [tmp_path / "first.log", tmp_path / "second.log"]
    run = stack.create_run("release", service=OTHER, cause="orphan")
    before = len(versions_of(home, OTHER))
    with run_worker(logs[0]) as worker:
        await_open(home, OTHER)
        worker.kill()
        worker.wait()
        with run_worker(logs[1]):
            again = stack.create_run("ingest", service="employment", source=str(FILE))
            states = [end_of(item, logs[1]) for item in (again, run)]
            assert [state.name for state in states] == ["Completed", "Completed"]
            registered = versions_of(home, OTHER)
            assert len(registered) == before + 1
            assert len(list_versions(home.table("employment"), "employment")) == 1
            spans = spans_of(home, OTHER)

            ask(lambda client: client.set_flow_run_state(run.id, Scheduled(), force=True))
            state = end_of(run, logs[1])
    assert state.name == "Skipped", state.message
    number = max(registered)
    assert state.message.endswith(f": handled by flow run {run.id}: registered v{number}")
    assert versions_of(home, OTHER) == registered
    assert spans_of(home, OTHER) == spans

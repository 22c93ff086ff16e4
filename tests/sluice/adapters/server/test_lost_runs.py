"""A run whose worker and process are gone is closed; every other one is left alone."""

import os
import socket
from collections.abc import Iterator

import pytest

from sluice.adapters.server.api import POOL, ask_server, find_unfinished, read_run
from sluice.adapters.server.process_tree import FLOW_RUN, can_find
from sluice.adapters.server.worker import close_lost
from support.servers.up import run_marked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_find(), reason="this system has no /proc"),
]
GONE = f"{socket.gethostname()}-{2**22 + 1}"


@pytest.fixture
def pool(api: str) -> Iterator[str]:
    ask_server(f"{api}/work_pools/", {"name": POOL, "type": "process"})
    yield api
    ask_server(f"{api}/work_pools/{POOL}", method="DELETE")


def begin_run(api: str, worker: str) -> str:
    """Create a run in the state that it has while a worker runs it; return its id."""
    _, flow = ask_server(f"{api}/flows/", {"name": "lost"})
    wanted = {
        "flow_id": flow["id"],
        "work_pool_name": POOL,
        "labels": {"prefect.worker.name": worker},
        "state": {"type": "RUNNING"},
    }
    status, run = ask_server(f"{api}/flow_runs/", wanted)
    assert status == 201
    return str(run["id"])


def state_of(api: str, run: str) -> str:
    found = read_run(api, run)
    return found.state if found else "unknown"


@pytest.mark.faults
def test_the_run_of_a_killed_worker_is_closed_with_the_reason(pool: str) -> None:
    run = begin_run(pool, GONE)
    assert run in [item.id for item in find_unfinished(pool)]
    assert [item.id for item in close_lost(pool, "was killed")] == [run]
    _, found = ask_server(f"{pool}/flow_runs/{run}")
    assert (found["state"]["name"], found["state"]["message"]) == ("Crashed", "was killed")
    assert close_lost(pool, "was killed") == []


def test_a_run_whose_process_outlived_its_worker_is_left_alone(pool: str) -> None:
    run = begin_run(pool, GONE)
    with run_marked(**{FLOW_RUN: run}):
        assert close_lost(pool, "") == []
    assert state_of(pool, run) == "RUNNING"


@pytest.mark.parametrize(
    "worker",
    [f"{socket.gethostname()}-{os.getpid()}", "elsewhere-1", "one", ""],
    ids=["alive here", "elsewhere", "of another name", "nameless"],
)
def test_the_run_of_any_other_worker_is_left_alone(pool: str, worker: str) -> None:
    run = begin_run(pool, worker)
    assert run not in [item.id for item in close_lost(pool, "")]
    assert state_of(pool, run) == "RUNNING"

"""`sluice up` with another's Prefect server, ended urgently."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.server.api import POOL, ask_server, is_healthy
from sluice.home import SAMPLES, Home
from support.servers.stack import ask, find_deployments
from support.servers.up import READY, Up, ask_run, await_state, end_by_force, find_all, state_of

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def up(api: str, tmp_path: Path) -> Iterator[Up]:
    login = os.environ["PREFECT_API_AUTH_STRING"]
    server = {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": login}
    started = Up(Home(tmp_path / "home"), "--mlflow-port", "5600", **server)
    try:
        started.await_words(READY)
        yield started
    finally:
        end_by_force(started)
        for item in find_deployments().values():
            ask(lambda client, item=item: client.delete_deployment(item.id))
        ask(lambda client: client.delete_work_pool(POOL))


def test_named_server_gets_the_worker_and_outlives_an_urgent_end(up: Up, api: str) -> None:
    assert up.said.startswith(f"using the Prefect server at {api}\n")
    assert not (up.home.root / "server.json").exists()
    file = str(SAMPLES / "acs_employment_2015.parquet")
    run = ask_run(up, "ingest/ingest", service="employment", source=file)
    await_state(up, run, "RUNNING")
    up.send(signal.SIGTERM)
    up.await_words("ending")
    up.send(signal.SIGINT)
    assert up.await_end() == 128 + signal.SIGTERM, up.said
    assert find_all(up.home) == []
    assert is_healthy(api)
    assert state_of(up, run)[0] in ("CANCELLED", "CRASHED")
    assert ask_server(f"{api}/work_pools/{POOL}/workers/filter", {})[1] == []

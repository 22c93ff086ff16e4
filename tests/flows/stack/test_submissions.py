"""Submissions beside a rollout on SQLite: none is refused, none is lost, and no run is Crashed."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.harness.probe import (
    SCHEDULED,
    SUBMITTED,
    SUBMITTED_NAME,
    await_due,
    count_states,
    deploy_probes,
    read_runs,
)
from benchmarks.harness.submissions import CLIENT, FORM, submit_all
from sluice.home import PROJECT
from support.pace import slowed
from support.releases.runs import write_rollout
from support.rollouts.beside import run_replica
from support.rollouts.live import POLICY, Live, route_config, run_live
from support.servers.outages import Stack, run_stack
from support.servers.stack import await_final, run_worker

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SERVICE = "employment"
WAITS = POLICY.replace("policy: quick", "policy: waits").replace(
    "max: 60 s, passes: [error_margin]}\n  - {name: half",
    "max: 600 s, passes: [error_margin], approve: true}\n  - {name: half",
)
"""The canary waits for a person, and ticks go on."""
COUNT, RATE, EVERY = 240, 20.0, 6.0
END_SECONDS = 120.0


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A server that logs each error for which it answers 503."""
    monkeypatch.setenv("PREFECT_SERVER_LOG_RETRYABLE_ERRORS", "true")
    with run_stack(tmp_path / "home", ("rollout", "rollout_control")) as stack:
        write_rollout(stack.home.root / "configs", SERVICE, route=route_config().model_dump())
        yield stack


@pytest.fixture
def live(stack: Stack) -> Iterator[Live]:
    with run_live(stack.home.root, SERVICE, WAITS) as live:
        live.reset()
        yield live


def test_none_is_refused_or_lost_beside_a_rollout(stack: Stack, live: Live, tmp_path: Path) -> None:
    paths = os.pathsep.join((str(PROJECT), os.environ["PYTHONPATH"]))
    api = f"http://127.0.0.1:{stack.port}/api"
    with run_replica(live.control, SERVICE) as replica:
        variables = {"SLUICE_GATEWAY_URLS": replica.address, "PYTHONPATH": paths}
        with run_worker(tmp_path / "worker.log", **variables):
            ids = deploy_probes(EVERY)
            rollout = stack.create_run("rollout", service=SERVICE, policy=live.policy)
            before = live.await_ticks(5).tick
            began = datetime.now(UTC)
            sent = submit_all(api, ids[SUBMITTED], SUBMITTED_NAME, COUNT, RATE)
            limit = slowed(END_SECONDS)
            scheduled = await_due(ids[SCHEDULED], began, datetime.now(UTC), limit)
            assert live.await_ticks(1).tick > before
            live.give("abort")
            assert await_final(rollout) is not None
    assert [(one.number, one.problem) for one in sent if one.problem or one.retries] == []
    assert {one.kind for one in sent} == {FORM, CLIENT}
    taken = [run.parameters["number"] for run in read_runs(ids[SUBMITTED])]
    assert sorted(taken) == list(range(COUNT))
    assert scheduled
    assert {run.state_name for run in scheduled} == {"Completed"}, count_states()
    assert "Crashed" not in str(count_states())
    log = (stack.home.logs / "prefect-server.log").read_text(encoding="utf-8")
    assert "database is locked" not in log

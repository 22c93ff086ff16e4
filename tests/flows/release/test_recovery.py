"""The next run completes what a killed run left, and does nothing twice."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.store import Store
from sluice.adapters.tables.delta import list_versions
from sluice.home import SAMPLES, Home
from support.releases.runs import describe_state, ingest_year, runs_of, versions_of
from tasks.run.state import read_failure

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.usefixtures("api")]

# Runs a flow in a process that is killed when it calls a function.
LAUNCH = """
import json, os, signal, sys
from importlib import import_module
place, name, arguments = sys.argv[1:]
module, _, path = place.partition(":")
*owners, last = path.split(".")
owner = import_module(module)
for item in owners:
    owner = getattr(owner, item)
setattr(owner, last, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
getattr(import_module(f"flows.{name}"), name)(**json.loads(arguments))
"""


def run_until(place: str, flow: str, home: Home, **arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LAUNCH, place, flow, json.dumps(arguments)],
        env={**os.environ, "SLUICE_HOME": str(home.root)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_a_release_killed_between_version_and_alias_is_completed_by_the_next(begun: Home) -> None:
    from flows.release import release

    place = "sluice.adapters.registry.store:Store.set_alias"
    run_until(place, "release", begun, service="employment", cause="data.changed")
    (dead,) = runs_of(begun)
    assert dead.info.status == "RUNNING"
    state = describe_state(begun)
    assert (state["models"], len(state["scratch"])) == ({}, 1)
    (first,) = versions_of(begun).values()

    ended: Any = release("employment", cause="data.changed", return_state=True)
    assert (ended.is_completed(), ended.name) == (True, "Skipped")
    assert ended.message.endswith(f": handled by flow run {first}: registered v1")
    state = describe_state(begun)
    assert (state["models"], state["scratch"]) == ({"champion": 1}, [])
    assert versions_of(begun) == {1: first}
    assert [run.info.status for run in runs_of(begun)] == ["FINISHED"]
    (claim,) = open_control(begun).causes.list_claims("employment")
    assert (claim.flow_run, claim.outcome) == (first, "registered v1")


def test_a_version_registered_without_the_lease_gets_no_alias(
    begun: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run takes the lease between the creation of the version and its alias."""
    from flows.release import release

    leases, create = open_control(begun).leases, Store.create_version

    def create_and_lose(*arguments: Any) -> Any:
        version = create(*arguments)
        while not leases.take(leases.find("employment", "release"), "successor", 15.0):
            pass
        return version

    monkeypatch.setattr(Store, "create_version", create_and_lose)
    before = describe_state(begun)["models"]
    state: Any = release("employment", cause="late", return_state=True)
    leases.release(leases.find("employment", "release"))
    assert read_failure(state)[0] == "LeaseLost"
    assert describe_state(begun)["models"] == before
    late = Store(begun.tracking_uri, begun.model_artifacts).read_version("employment", 2)
    assert late.aliases == ()
    assert late.tags["sluice.orphaned"] == "true"


def test_an_ingest_killed_before_its_event_is_not_done_twice(begun: Home) -> None:
    file = str(SAMPLES / "acs_employment_2016.parquet")
    place = "tasks.data.ingestion:announce_version"
    run_until(place, "ingest", begun, service="employment", source=file)
    before = list_versions(begun.table("employment"), "employment")
    assert [item.rows for item in before] == [12_000, 24_000]
    state = ingest_year(2016)
    assert state.is_completed(), state.message
    assert state.result() == {"version": before[-1].version, "rows": 24_000, "written": False}
    assert list_versions(begun.table("employment"), "employment") == before

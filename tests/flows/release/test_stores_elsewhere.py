"""Releases whose registry is a server that dies, or whose control store is Postgres."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import append_batch
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.home import SAMPLES, Home
from support.releases.runs import (
    describe_state,
    runs_of,
    spans_of,
    start_sluice,
    versions_of,
    write_service,
)
from support.servers.control import run_postgres, why_no_postgres
from support.servers.outages import OTHER, run_registry_server
from support.servers.ports import find_free_port
from support.servers.stack import await_answer

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.usefixtures("api")]

FIND_SECONDS, END_SECONDS = 300.0, 480.0
OUTAGE_SECONDS = 15.0
FILE = SAMPLES / "acs_employment_2015.parquet"


@pytest.fixture
def filled(home: Home) -> Home:
    """Return a state folder with two services that have 2015 ingested, and no registry yet."""
    config = load_service("employment", "development")
    for service in ("employment", OTHER):
        batch = read_batch(FILE, config.data)
        append_batch(home.table(service), batch, {"source": FILE.name}, config.data.id)
    return home


@pytest.fixture
def store(filled: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Return the same state folder with its control store on Postgres."""
    if reason := why_no_postgres():
        pytest.skip(reason)
    with run_postgres() as address:
        monkeypatch.setenv("SLUICE_CONTROL_URL", f"{address}/postgres")
        yield filled


def count_open(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        found = connection.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()
    return int(found[0])


def test_a_release_outlives_a_killed_registry_server(
    filled: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, log = find_free_port(), tmp_path / "mlflow.log"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with (
        run_registry_server(filled, port, log) as restart_after,
        start_sluice("release", "employment", home=filled.root) as process,
    ):
        assert await_answer(lambda: count_open(filled.mlflow / "mlflow.db"), FIND_SECONDS)
        restart_after(OUTAGE_SECONDS)
        output = process.communicate(timeout=END_SECONDS)[0]
        assert process.returncode == 0, output
        assert [run.info.status for run in runs_of(filled)] == ["FINISHED"]
        assert list(versions_of(filled)) == [1]
        state = describe_state(filled)
        assert (state["models"], state["scratch"]) == ({"champion": 1}, [])
        champion = open_registry(filled).find_alias("employment", "champion")
        assert champion is not None
        assert open_registry(filled).load_model(champion) is not None
    assert "the retry saved this run" in output
    (claim,) = open_control(filled).causes.list_claims("employment")
    assert claim.outcome == "registered it"


def test_two_services_are_released_at_once_with_postgres_as_control_store(
    store: Home, tmp_path: Path
) -> None:
    for name in ("employment", OTHER):
        write_service(tmp_path / "configs", name)
    open_registry(store).prepare()
    configs = str(tmp_path / "configs")
    with (
        start_sluice("release", "employment", home=store.root, SLUICE_CONFIGS=configs) as one,
        start_sluice("release", OTHER, home=store.root, SLUICE_CONFIGS=configs) as two,
    ):
        outputs = [process.communicate(timeout=END_SECONDS)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), "\n".join(outputs)
    (employment,), (other,) = spans_of(store), spans_of(store, OTHER)
    assert max(employment[0], other[0]) < min(employment[1], other[1])
    control = open_control(store)
    for service in ("employment", OTHER):
        assert list(versions_of(store, service)) == [1]
        (claim,) = control.causes.list_claims(service)
        assert claim.outcome == "registered it"
        lease = control.leases.find(service, "release")
        assert (lease.is_free, lease.epoch) == (True, 1)
    assert not (store.root / "control.db").exists()

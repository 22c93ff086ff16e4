"""A control store on each kind of database."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, open_control
from sluice.control.lease import Lease
from sluice.home import Home
from support.servers.control import run_postgres, why_no_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres server that ends with the session."""
    if reason := why_no_postgres():
        pytest.skip(reason)
    with run_postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose control store is a new database that nobody has prepared."""
    monkeypatch.delenv("SLUICE_CONTROL_URL", raising=False)
    if request.param == "postgres":
        import psycopg

        address = request.getfixturevalue("postgres")
        name = f"control_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        monkeypatch.setenv("SLUICE_CONTROL_URL", f"{address}/{name}")
    return Home(tmp_path)


@pytest.fixture
def control(store: Home) -> Control:
    """A control store that is ready."""
    control = open_control(store)
    control.prepare()
    return control


@pytest.fixture
def lease(control: Control) -> Lease:
    """The release lease of the default service, held by the first run."""
    return control.leases.acquire("employment", "release", "first", 15)

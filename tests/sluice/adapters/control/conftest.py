"""A control store on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.control.lease import Lease
from sluice.home import Home
from support.servers.control import add_schema, run_postgres, why_no_postgres


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
        address = add_schema(request.getfixturevalue("postgres"))
        monkeypatch.setenv("SLUICE_CONTROL_URL", address)
    return Home(tmp_path)


@pytest.fixture
def control(store: Home) -> Control:
    """A control store that is ready."""
    return prepare_control(store)


@pytest.fixture
def lease(control: Control) -> Lease:
    """The release lease of the default service, held by the first run."""
    return control.leases.acquire("employment", "release", "first", 15)

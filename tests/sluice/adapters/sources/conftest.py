"""Databases with a table of every kind that a driver returns: a SQLite file, and Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.releases.shop import MAKE, ROWS, Shop
from support.servers.control import add_schema, run_postgres, why_no_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the address of a Postgres server that stops with the test session."""
    if reason := why_no_postgres():
        pytest.skip(reason)
    with run_postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if request.param == "postgres":
        url = add_schema(request.getfixturevalue("postgres"))
    monkeypatch.setenv("SHOP_DATABASE", url)
    shop = Shop(request.param, url)
    shop.run(MAKE)
    for row in ROWS:
        shop.run(f"INSERT INTO shop VALUES {row}")
    return shop

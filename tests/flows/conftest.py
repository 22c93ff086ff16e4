"""Homes that flows have filled, shared by the tests of one file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.home import Home
from support.releases.runs import ingest_year


@pytest.fixture(scope="module")
def stocked(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with 2015-16 ingested and a champion released on it."""
    from flows.release import release

    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("stocked")
        patch.setenv("SLUICE_HOME", str(root))
        for year in (2015, 2016):
            assert ingest_year(year).is_completed()
        state = release("employment", cause="first data", return_state=True)
        assert state.is_completed(), state.message
        yield Home(root)


@pytest.fixture(scope="module")
def begun(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with 2015 ingested, a registry made ready and no model yet."""
    from sluice.adapters.registry.client import open_registry

    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("begun")
        patch.setenv("SLUICE_HOME", str(root))
        assert ingest_year(2015).is_completed()
        open_registry(Home(root)).prepare()
        yield Home(root)

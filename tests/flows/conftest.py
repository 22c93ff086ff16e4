"""State folders that flows have filled: filled once a session, copied for each file of tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.home import Home
from support.releases.runs import ingest_year
from support.servers.images import add_registry_database, copy_home, make_once, note_origin


@pytest.fixture(scope="module")
def stocked(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A state folder with 2015-16 ingested and a champion released on it."""
    image = make_once("stocked", _fill_stocked)
    with pytest.MonkeyPatch.context() as patch:
        home = copy_home(image, tmp_path_factory.mktemp("stocked"))
        patch.setenv("SLUICE_HOME", str(home.root))
        yield home


@pytest.fixture(scope="module")
def begun(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A state folder with 2015 ingested, a registry made ready and no model yet."""
    image = make_once("begun", _fill_begun)
    with pytest.MonkeyPatch.context() as patch:
        home = copy_home(image, tmp_path_factory.mktemp("begun"))
        patch.setenv("SLUICE_HOME", str(home.root))
        yield home


def _fill_begun(root: Path) -> None:
    with _fill(root):
        assert ingest_year(2015).is_completed()


def _fill_stocked(root: Path) -> None:
    from flows.release import release

    with _fill(root):
        for year in (2015, 2016):
            assert ingest_year(year).is_completed()
        state = release("employment", cause="first data", return_state=True)
        assert state.is_completed(), state.message


@contextmanager
def _fill(root: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        yield
        note_origin(root)

"""A state folder with a small model, for the tasks of a batch prediction without a server."""

from collections.abc import Iterator

import pytest

from sluice.home import Home
from support.releases.scoring import prepare_service


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A state folder with the small model as version 1."""
    with pytest.MonkeyPatch.context() as patch:
        home = Home(tmp_path_factory.mktemp("parts") / "home")
        home.root.mkdir()
        patch.setenv("SLUICE_HOME", str(home.root))
        prepare_service(home, home.root.parent / "files")
        yield home

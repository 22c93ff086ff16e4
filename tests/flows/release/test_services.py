"""The committed services on real rows: guessed by `init`, and released twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import list_versions
from sluice.config.loading import load_service
from sluice.home import Home
from support.releases.runs import gate_runs_of, run_sluice
from support.releases.services import write_examples
from support.servers.images import add_registry_database

pytestmark = pytest.mark.slow

SERVICES = ("arrivals", "earnings")
INIT = {
    "arrivals": ("--target", "arrival", "--sensitive", "none", "--reason", "Flights."),
    "earnings": ("--target", "earned_1978", "--sensitive", "ethnicity"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Return each service's first file and its later file."""
    folder = tmp_path_factory.mktemp("files")
    return {service: write_examples(service, folder) for service in SERVICES}


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return a state folder that the tests of this file share."""
    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("services")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        yield Home(root)


@pytest.mark.parametrize("service", SERVICES)
def test_init_guesses_what_the_committed_file_has(
    files: dict[str, tuple[Path, Path]], tmp_path: Path, service: str
) -> None:
    for name in ("configs", "gx"):
        (tmp_path / name).mkdir()
    ended = run_sluice(
        *("init", str(files[service][0]), *INIT[service]),
        home=tmp_path,
        SLUICE_CONFIGS=str(tmp_path / "configs"),
        SLUICE_SUITES=str(tmp_path / "gx"),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    guessed = load_service(service, "development", tmp_path / "configs")
    kept = load_service(service, "development")
    assert guessed.problem == kept.problem
    # The table of arrivals is older than the reading of times; its days stay text.
    times = {"day": "timestamp"} if service == "arrivals" else {}
    assert guessed.data.columns == {**kept.data.columns, **times}
    assert guessed.data.features == kept.data.features
    assert (guessed.data.id, guessed.data.time) == (kept.data.id, kept.data.time)
    assert guessed.split.by == kept.split.by
    assert guessed.bias.sensitive == kept.bias.sensitive


@pytest.mark.parametrize("service", SERVICES)
def test_a_second_release_is_compared_with_its_own_champion(
    home: Home, files: dict[str, tuple[Path, Path]], service: str
) -> None:
    from flows.ingest import ingest
    from flows.release import release

    for file, alias in zip(files[service], ("champion", "candidate"), strict=True):
        taken = ingest(service, str(file), return_state=True)
        assert taken.is_completed(), taken.message
        state = release(service, return_state=True)
        assert state.is_completed(), state.message
        found = open_registry(home).find_alias(service, alias)
        assert found is not None
        assert found.tags["sluice.serving.form"] == "onnx"
        assert {found.tags[f"sluice.verdict.{gate}"] for gate in gate_runs_of(state)} == {"pass"}
    assert [item.version for item in list_versions(home.table(service), service)] == [0, 1]

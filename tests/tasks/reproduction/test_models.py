"""A registered model is made again by a process with its commit's code; what is gone is named."""

import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from sluice.adapters.machine import read_environment
from sluice.adapters.registry.client import open_registry
from sluice.errors import CommitLost, DataVacuumed, NotReproducible, TreeWasDirty
from sluice.home import Home
from sluice.reproduction.comparison import Reproduction
from sluice.reproduction.record import read_identity
from support.reproduction.project import commit_all, copy_project, git
from support.reproduction.released import SEED, ReleasedModel, release_model
from support.servers.images import add_registry_database
from tasks.reproduction.models import read_model_record
from tasks.reproduction.steps import open_workspace, reproduce_version

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleasedModel]:
    home = Home(tmp_path_factory.mktemp("home"))
    add_registry_database(home)
    project = copy_project(tmp_path_factory.mktemp("project") / "sluice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(home.root))
        patch.setattr("tasks.reproduction.steps.PROJECT", project)
        patch.setattr("tasks.reproduction.steps.LOCK", project / "requirements.lock")
        yield release_model(home, project)


def reproduce(released: ReleasedModel, seed: int = -1) -> Reproduction:
    with disable_run_logger(), open_workspace() as folder:
        return reproduce_version.fn(released.version.service, 1, seed, folder)


def set_tag(released: ReleasedModel, key: str, value: str) -> str:
    """Change a tag of the version; return what it was."""
    version, client = released.version, open_registry(released.home).store.client()
    before = client.get_model_version(version.service, "1").tags.get(key, "")
    client.set_model_version_tag(version.service, "1", key, value)
    return str(before)


def test_the_same_record_makes_the_same_model(released: ReleasedModel) -> None:
    found = reproduce(released)
    assert found.is_identical, found.describe()
    facts = {item.name: item for item in found.facts}
    assert facts["rows of the parity sample"].n == 64
    assert 200 < facts["held-out rows"].n < 600
    assert found.environment == "this environment (lock and Python are the same here)"
    # The code of its commit ran, in a checkout that is gone by now; the project has no trace of it.
    assert git(released.project, "status", "--porcelain") == ""
    assert git(released.project, "worktree", "list").count("\n") == 0


def test_another_seed_is_named_first_and_changes_predictions(released: ReleasedModel) -> None:
    found = reproduce(released, SEED + 1)
    first = found.first_difference
    assert first is not None
    assert (first.name, first.recorded, first.found) == ("seed", "3", "4")
    facts = {item.name: item for item in found.facts}
    assert facts["held-out rows"].differing > 10
    assert facts["the registered model's parity rows"].is_same


def test_changed_code_of_a_later_commit_does_not_count(released: ReleasedModel) -> None:
    broken = released.project / "sluice" / "models" / "training.py"
    text = broken.read_text(encoding="utf-8")
    broken.write_text("raise RuntimeError('later code')\n", encoding="utf-8")
    later = commit_all(released.project)
    try:
        assert reproduce(released).is_identical
    finally:
        broken.write_text(text, encoding="utf-8")
        assert commit_all(released.project) != later


def test_a_configuration_that_was_edited_is_named(released: ReleasedModel) -> None:
    registry, run = open_registry(released.home), released.version.run_id
    text = registry.read_text(run, "config.yaml")
    registry.log_text(run, "config.yaml", text.replace(f"seed: {SEED}", "seed: 8", 1))
    try:
        first = reproduce(released).first_difference
    finally:
        registry.log_text(run, "config.yaml", text)
    assert first is not None
    assert first.name == "configuration"


def test_another_lock_is_named(
    released: ReleasedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The project's lock is another one now; the version's own would be installed."""
    other = tmp_path / "requirements.lock"
    other.write_text("prefect==1.0\n", encoding="utf-8")
    monkeypatch.setattr("tasks.reproduction.steps.LOCK", other)
    asked: list[tuple[str, str]] = []

    def make(lock: Path, python: str, folder: Path) -> Path:
        asked.append((lock.read_text(encoding="utf-8"), python))
        return Path(sys.executable)

    monkeypatch.setattr("tasks.reproduction.steps.make_environment", make)
    found = reproduce(released)
    assert asked == [
        ((released.project / other.name).read_text(encoding="utf-8"), platform.python_version())
    ]
    assert found.is_identical
    recorded = read_model_record(released.version.service, 1).identity.environment.lock_hash
    here = read_environment(other).lock_hash
    assert found.environment == (
        f"an environment of its own (the lock is {here[:12]} here, it was {recorded[:12]})"
    )


def test_a_lock_that_the_commit_does_not_have_is_named(released: ReleasedModel) -> None:
    """The release ran with a lock that was not the commit's."""
    before = {
        key: set_tag(released, key, value)
        for key, value in {
            "sluice.environment.lock_hash": "5" * 64,
            "sluice.release": find_identity(released, lock_hash="5" * 64),
        }.items()
    }
    try:
        with pytest.raises(
            NotReproducible, match="the version was made with 555555555555; next: reproduce in its"
        ):
            reproduce(released)
    finally:
        for key, value in before.items():
            set_tag(released, key, value)


def test_a_dirty_tree_is_named(released: ReleasedModel) -> None:
    before = {
        key: set_tag(released, key, value)
        for key, value in {"sluice.code.dirty": "true", "sluice.release": "1cd33ab51b0c"}.items()
    }
    try:
        with pytest.raises(NotReproducible, match="tags were changed after the release"):
            reproduce(released)
        set_tag(released, "sluice.release", find_identity(released, dirty=True))
        with pytest.raises(TreeWasDirty, match="uncommitted changes on top of"):
            reproduce(released)
    finally:
        for key, value in before.items():
            set_tag(released, key, value)
    assert read_model_record(released.version.service, 1).identity.code.dirty is False


def find_identity(released: ReleasedModel, dirty: bool = False, lock_hash: str = "") -> str:
    """Return the identity that a release with such tags would have."""
    found = read_identity(released.version.service, 1, released.version.tags)
    environment = replace(found.environment, lock_hash=lock_hash or found.environment.lock_hash)
    return replace(found, code=replace(found.code, dirty=dirty), environment=environment).id


def test_vacuumed_data_is_named(released: ReleasedModel) -> None:
    table = released.home.table(released.version.service)
    [file] = table.glob("*.parquet")
    hidden = file.with_suffix(".hidden")
    file.rename(hidden)
    try:
        with pytest.raises(DataVacuumed, match="data version 0: 1 of its 1 files were deleted"):
            reproduce(released)
    finally:
        hidden.rename(file)


def test_a_lost_commit_is_named(
    released: ReleasedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    monkeypatch.setattr("tasks.reproduction.steps.PROJECT", tmp_path)
    with pytest.raises(CommitLost, match="is not in this repository; next: fetch it"):
        reproduce(released)


def test_a_version_that_does_not_exist_is_named(released: ReleasedModel) -> None:
    with pytest.raises(NotReproducible, match="found no version 9 in the registry"):
        read_model_record(released.version.service, 9)

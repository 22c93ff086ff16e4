"""A version's process: what its files do harms that version alone."""

import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import ModelCache
from serving.models.loading import load_cached
from serving.process.fetcher import Fetcher, FetchProcess
from sluice.adapters.control.store import open_control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.model_files import SERVING_FOLDER
from sluice.config.serving import FetchingConfig
from sluice.control.route import Route
from sluice.home import Home
from sluice.models.export.onnx_export import SAMPLE_FILE, SAMPLE_ROWS
from support.gateway.faulty import write_faulty
from support.gateway.models import register_towns, sign_stored
from support.gateway.site import wait_until
from support.gateway.towns import Towns
from support.servers.images import add_registry_database

pytestmark = [pytest.mark.slow, pytest.mark.faults]
LIMITS = FetchingConfig(seconds=120, proof_seconds=30, memory_bytes=1 << 30)
REFUSED_SERVICES = ("nested", "bomb", "loop", "ungated")
ZEROS = bytes(1 << 24)
BOMB_CHUNKS = 3 * LIMITS.memory_bytes // (2 * len(ZEROS))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder whose registry and control store are ready, and that processes find."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = add_registry_database(Home(tmp_path / "state"))
    monkeypatch.setenv("SLUICE_HOME", str(home.root))
    open_registry(home).prepare()
    open_control(home).prepare()
    return home


@pytest.fixture
def fetcher(state: Home) -> Iterator[Fetcher]:
    routes = [Route(name, 1) for name in (*REFUSED_SERVICES, "good")]
    found = Fetcher(
        lambda: routes,
        lambda key, now: FetchProcess(key, LIMITS, now),
        ModelCache(state.models, None),
    )
    yield found
    found.close()


def register_loop(registry: Registry, towns: Towns, folder: Path) -> None:
    """Register a model whose graph never ends, with the sample on which it is proved."""
    write_faulty(towns.folder, folder, "hang")
    shutil.copy(towns.folder / SAMPLE_FILE, folder)
    assert (folder / SERVING_FOLDER).is_dir()
    register_towns(registry, replace(towns, folder=folder), "loop")


def register_bomb(registry: Registry, towns: Towns, state: Home) -> None:
    """Register a native model of a few kB that unpacks to more than the memory limit."""
    version = register_towns(registry, towns, "bomb", form="sklearn")
    (file,) = (state.model_artifacts / "bomb").glob("models/*/artifacts/model.skops")
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("schema.json", "w", force_zip64=True) as member,
    ):
        for _ in range(BOMB_CHUNKS):
            member.write(ZEROS)
    sign_stored(registry, version)


def test_poisoned_and_ungated_versions_are_refused_and_the_others_are_fetched(
    state: Home, fetcher: Fetcher, towns: Any, tmp_path: Path
) -> None:
    registry, models = open_registry(state), ModelCache(state.models, None)
    register_towns(registry, towns, "nested", **{SAMPLE_FILE: "[" * 100_000})
    register_bomb(registry, towns, state)
    register_loop(registry, towns, tmp_path / "loop")
    register_towns(registry, towns, "ungated", verdicts={})
    register_towns(registry, towns, "good")

    def are_all_known() -> bool:
        fetcher.fetch_named(time.monotonic())
        return all(models.find(name, 1) for name in (*REFUSED_SERVICES, "good"))

    wait_until(are_all_known, 300)
    good = models.find("good", 1)
    assert good is not None
    assert load_cached(models, good).checked_rows == SAMPLE_ROWS
    reasons = {}
    for name in REFUSED_SERVICES:
        entry = models.find(name, 1)
        assert entry is not None
        assert not entry.digest
        reasons[name] = entry.refused
    assert f"{SAMPLE_FILE} is not a parity sample" in reasons["nested"]
    assert "schema.json: longer than the 268,435,456 bytes that are allowed" in reasons["bomb"]
    assert "it may not serve: " in reasons["ungated"]
    assert reasons["loop"] == "loading and answering its sample took longer than 30 s"

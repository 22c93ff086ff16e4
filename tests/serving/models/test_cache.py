"""The cache returns what was fetched, byte for byte, or nothing."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import DRAFT, FILES, MANIFEST_FILE, CacheEntry, Manifest, ModelCache
from sluice.errors import DataMissing, ModelDamaged
from support.gateway.models import describe_model
from support.servers.forks import run_code


def test_what_was_kept_is_found_and_opened(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    assert models.find("towns", 1) == kept
    manifest, folder = models.open(kept)
    assert (manifest.name, manifest.digest, folder.name) == ("towns v1", kept.digest, kept.digest)
    assert set(manifest.files) == set(FILES)
    for file in FILES:
        assert (folder / file).read_bytes() == (towns.folder / file).read_bytes()
    assert manifest.data_config == towns.data


def test_a_version_that_was_never_fetched_is_not_there(models: ModelCache) -> None:
    assert models.find("towns", 1) is None


def test_a_model_is_not_found_before_it_is_published(models: ModelCache, towns: Any) -> None:
    entry = models.keep(describe_model(towns.data, "binary"), towns.folder)
    assert models.find("towns", 1) is None
    assert models.open(entry)


def test_keeping_the_same_again_changes_nothing(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    before = {path: path.stat().st_ino for path in models.folder.rglob("*")}
    assert models.keep(describe_model(towns.data, "binary"), towns.folder) == kept
    assert {path: path.stat().st_ino for path in models.folder.rglob("*")} == before


@pytest.mark.parametrize("file", [*FILES, MANIFEST_FILE])
@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_damaged_file_is_refused(
    models: ModelCache, kept: CacheEntry, file: str, damage: str
) -> None:
    path = models.folder / kept.digest / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    found = {"cut short": path.read_bytes()[:-1], "one bit": bytes(content), "empty": b""}
    path.write_bytes(found[damage])
    with pytest.raises(ModelDamaged, match=f"cached model towns v1: {file}"):
        models.open(kept)


@pytest.mark.parametrize("file", [*FILES, MANIFEST_FILE])
def test_a_file_that_is_gone_is_named(models: ModelCache, kept: CacheEntry, file: str) -> None:
    (models.folder / kept.digest / file).unlink()
    with pytest.raises(DataMissing, match=f"there is no .*{Path(file).name}; fetch it again"):
        models.open(kept)


def test_a_manifest_changed_to_fit_other_files_is_refused(
    models: ModelCache, kept: CacheEntry
) -> None:
    folder = models.folder / kept.digest
    manifest = Manifest.from_json((folder / MANIFEST_FILE).read_bytes())
    (folder / "model.skops").write_bytes(b"another")
    files = {**manifest.files, "model.skops": "0" * 64}
    (folder / MANIFEST_FILE).write_bytes(replace(manifest, files=files).to_json())
    with pytest.raises(ModelDamaged, match=r"manifest\.json is not what was fetched"):
        models.open(kept)


def test_a_manifest_names_no_file_outside_its_folder() -> None:
    content = {"service": "a", "version": 1, "run_id": "", "kind": "", "problem": "binary"}
    content |= {"form": "onnx", "data": {}, "files": {"../../x": "0"}}  # type: ignore[dict-item]
    with pytest.raises(ModelDamaged, match=r"names '\.\./\.\./x'; allowed: model\.skops"):
        Manifest.from_json(json.dumps(content).encode())


WRONG = {"service": "towns", "version": 1, "digest": "../../etc", "refused": ""}


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"service": "towns"}', "\x00", "[" * 100_000, "9" * 10_000),
        json.dumps(WRONG),
        json.dumps({**WRONG, "digest": 5}),
        json.dumps({**WRONG, "digest": [], "version": "1"}),
    ],
    ids=lambda content: content[-20:],
)
def test_an_unreadable_index_counts_as_absent(
    models: ModelCache, kept: CacheEntry, content: str
) -> None:
    (models.folder / "towns-1.json").write_text(content)
    assert models.find("towns", 1) is None


def test_a_refused_version_has_its_reason(models: ModelCache) -> None:
    models.folder.mkdir()
    models.publish(CacheEntry("towns", 2, refused="it holds a type that nobody reviewed"))
    entry = models.find("towns", 2)
    assert entry is not None
    with pytest.raises(ModelDamaged, match="towns v2 was refused: it holds a type"):
        models.open(entry)


def test_a_damaged_model_is_discarded_once_and_a_newer_one_stays(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    models.discard(kept)
    assert models.find("towns", 1) is None
    newer = models.keep(describe_model(towns.data, "binary", run_id="other"), towns.folder)
    models.publish(newer)
    models.discard(kept)  # a worker that comes late
    assert models.find("towns", 1) == newer
    assert models.open(newer)


def test_keeping_replaces_a_damaged_folder_by_a_whole_one(
    models: ModelCache, kept: CacheEntry, towns: Any
) -> None:
    (models.folder / kept.digest / "model.skops").write_bytes(b"")
    assert models.keep(describe_model(towns.data, "binary"), towns.folder) == kept
    assert models.open(kept)


def test_a_full_disk_leaves_nothing_behind(
    models: ModelCache, kept: CacheEntry, towns: Any, tmp_path: Path
) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from serving.models.cache import ModelCache\n"
        "from support.gateway.models import describe_model\n"
        "from sluice.config.data import DataConfig; from sluice.errors import StorageFull\n"
        "data = DataConfig.model_validate_json(sys.argv[3])\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: ModelCache(Path(sys.argv[1]), None).keep(describe_model(data, 'binary', 9), "
        "Path(sys.argv[2]))\n"
        "except StorageFull as error: print(error)"
    )
    arguments = [str(models.folder), str(towns.folder), towns.data.model_dump_json()]
    before = sorted(models.folder.rglob("*"))
    done = run_code(code, arguments, os.environ)
    assert "cached model towns v9: not written: a limit on file sizes" in done.stdout, done.stderr
    assert sorted(models.folder.rglob("*")) == before


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
import serving.models.cache as cache
from support.gateway.models import describe_model
from sluice.config.data import DataConfig
folder, source, data, point = sys.argv[1:]
def die(*_arguments, **_named): os.kill(os.getpid(), signal.SIGKILL)
if point == "copying": cache._hash_file = die
elif point == "naming": Path.rename = die
else: cache.write_whole = die
models = cache.ModelCache(Path(folder), None)
with models.fetch_alone("towns", 9):
    facts = describe_model(DataConfig.model_validate_json(data), "binary", 9)
    models.publish(models.keep(facts, Path(source)))
"""


@pytest.mark.parametrize("point", ["copying", "naming", "publishing"])
def test_a_fetcher_killed_at_any_point_leaves_nothing_that_is_found(
    models: ModelCache, towns: Any, point: str
) -> None:
    arguments = [str(models.folder), str(towns.folder), towns.data.model_dump_json(), point]
    done = run_code(KILLED, arguments, os.environ)
    assert done.returncode == -9
    assert models.find("towns", 9) is None
    with models.fetch_alone("towns", 9):  # the lock went with its holder
        entry = models.keep(describe_model(towns.data, "binary", 9), towns.folder)
        models.publish(entry)
    assert models.open(entry)[0].version == 9
    assert list(models.folder.glob(f"{DRAFT}*")) == []


def test_of_several_fetchers_one_works_and_the_draft_of_a_killed_one_is_removed(
    models: ModelCache,
) -> None:
    models.folder.mkdir()
    (models.folder / f"{DRAFT}towns@1-dead").mkdir()
    (models.folder / f"{DRAFT}towns@2-live").mkdir()
    inside, most, lock = 0, 0, threading.Lock()

    def fetch() -> None:
        nonlocal inside, most
        with models.fetch_alone("towns", 1):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.01)
            with lock:
                inside -= 1

    fetchers = [threading.Thread(target=fetch) for _ in range(3)]
    for fetcher in fetchers:
        fetcher.start()
    for fetcher in fetchers:
        fetcher.join()
    assert most == 1
    assert [path.name for path in models.folder.glob(f"{DRAFT}*")] == [f"{DRAFT}towns@2-live"]


def test_models_that_no_route_names_are_removed_except_the_newest(
    models: ModelCache, towns: Any
) -> None:
    for version in range(1, 6):
        models.publish(models.keep(describe_model(towns.data, "binary", version), towns.folder))
    gone = models.prune([("towns", 1)], spare=2)
    assert len(gone) == 2
    assert [version for version in range(1, 6) if models.find("towns", version)] == [1, 4, 5]
    assert models.prune([("towns", 1)], spare=2) == []
    for version in (1, 4, 5):
        entry = models.find("towns", version)
        assert entry is not None
        assert models.open(entry)

import errno
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sluice.adapters.registry.client import Registry
from sluice.adapters.registry.faults import translate_faults
from sluice.adapters.registry.store import Store
from sluice.data.version import DataVersion
from sluice.errors import (
    ModelUntrusted,
    PromotionRefused,
    RegistryUnavailable,
    StorageFull,
)
from sluice.home import Home
from support.pace import slowed
from support.releases.verdicts import VERDICTS

PASSED = {**VERDICTS, "sluice.data.version": "4"}
BOUND = 10.0
"""Seconds within which every call on a locked registry must give up."""


@pytest.fixture
def locked(home: Home) -> Iterator[None]:
    other = sqlite3.connect(home.mlflow / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


def read_run(registry: Registry, run_id: str) -> Any:
    return Store(registry.tracking_uri, registry.artifact_root).client().get_run(run_id)


def test_facts_of_a_run_are_logged(registry: Registry, service: str) -> None:
    run_id = registry.start_run(service, "first", {"cause": "a test"})
    registry.log_facts(run_id, {"depth": 3}, {"auc": 0.81}, {"sluice.verdict.bias": "pass"})
    registry.end_run(run_id, "FAILED")
    run = read_run(registry, run_id)
    assert run.info.run_name == "first"
    assert run.info.status == "FAILED"
    assert run.data.params == {"depth": "3"}
    assert run.data.metrics == {"auc": 0.81}
    assert run.data.tags["cause"] == "a test"
    assert run.data.tags["sluice.verdict.bias"] == "pass"


def test_more_facts_than_one_call_accepts_are_logged(registry: Registry, service: str) -> None:
    run_id = registry.start_run(service, "many", {})
    registry.log_facts(run_id, params={f"p{number}": number for number in range(250)})
    assert len(read_run(registry, run_id).data.params) == 250


def test_facts_can_be_logged_again(registry: Registry, service: str) -> None:
    run_id = registry.start_run(service, "twice", {})
    for _ in range(2):
        registry.log_facts(run_id, {"depth": 3}, {"auc": 0.81})
    assert read_run(registry, run_id).data.params == {"depth": "3"}


def test_texts_of_a_folder_are_read_back_by_name(registry: Registry, service: str) -> None:
    run_id = registry.start_run(service, "texts", {})
    registry.log_json(run_id, "verdicts/data.json", {"gate": "data"})
    registry.log_text(run_id, "verdicts/bias.json", "é")
    registry.log_text(run_id, "card.md", "elsewhere")
    assert registry.read_texts(run_id, "verdicts") == {
        "bias.json": "é",
        "data.json": '{\n  "gate": "data"\n}\n',
    }


def test_a_folder_that_a_run_does_not_have_is_empty(registry: Registry, service: str) -> None:
    assert registry.read_texts(registry.start_run(service, "none", {}), "verdicts") == {}


def test_files_are_in_the_services_own_folder(registry: Registry, service: str) -> None:
    run_id = registry.start_run(service, "plots", {})
    registry.log_bytes(run_id, "plots/roc.png", b"\x89PNG")
    kept = registry.artifact_root / service / run_id / "artifacts" / "plots" / "roc.png"
    assert kept.read_bytes() == b"\x89PNG"


def test_the_data_version_is_an_input_of_the_run(registry: Registry, service: str) -> None:
    run_id = registry.start_run(service, "data", {})
    data = DataVersion("/state/data/employment/table", 7, 24_000, "a" * 64, "b" * 64)
    registry.log_data_input(run_id, data, "training")
    registry.log_data_input(run_id, data, "training")
    (found,) = read_run(registry, run_id).inputs.dataset_inputs
    assert found.dataset.name == "employment"
    assert found.dataset.digest == "b" * 36
    assert '"version": 7' in found.dataset.source
    assert found.tags[0].value == "training"


def test_an_experiment_that_was_deleted_is_restored(registry: Registry, service: str) -> None:
    run = read_run(registry, registry.start_run(service, "before", {}))
    Store(registry.tracking_uri, registry.artifact_root).client().delete_experiment(
        run.info.experiment_id
    )
    after = read_run(registry, registry.start_run(service, "after", {}))
    assert after.info.experiment_id == run.info.experiment_id


def test_an_unknown_service_has_no_alias(registry: Registry) -> None:
    assert registry.find_alias("nobody", "champion") is None


def test_the_first_version_is_champion(registry: Registry, register: Any, service: str) -> None:
    version = register()
    assert version.aliases == ("champion",)
    assert registry.find_alias(service, "champion") == version
    assert registry.find_alias(service, "candidate") is None


def test_the_next_version_is_candidate(registry: Registry, register: Any, service: str) -> None:
    first, second = register(), register()
    assert (first.version, second.version) == (1, 2)
    assert second.aliases == ("candidate",)
    champion = registry.find_alias(service, "champion")
    assert champion is not None
    assert champion.version == 1


def test_a_version_has_tags_run_and_data_version(register: Any, service: str) -> None:
    version = register()
    assert version.service == service
    assert version.tags == {**PASSED, "sluice.registered": "champion"}
    assert version.data_version == 4
    assert version.uri == f"models:/{service}/1"
    assert version.run_id


def test_registering_again_returns_the_same_version(registry: Registry, register: Any) -> None:
    register()
    version = register()
    assert register(version.run_id) == version


def test_registering_the_champion_again_leaves_it_champion(register: Any) -> None:
    version = register()
    assert register(version.run_id).aliases == ("champion",)


@pytest.mark.parametrize(
    "step", ["log_outputs", "log_model_artifacts", "finalize_logged_model", "create_model_version"]
)
def test_an_attempt_interrupted_after_any_step_is_completed_by_the_next(
    step: str, registry: Registry, register: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = registry.start_run(f"{service}", "cut off", {})
    from mlflow import MlflowClient

    done = getattr(MlflowClient, step)

    def cut_off(*arguments: Any, **named: Any) -> None:
        done(*arguments, **named)
        raise ConnectionError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, step, cut_off)
        with pytest.raises(RegistryUnavailable, match="cut off"):
            register(run_id)
    version = register(run_id)
    client = Store(registry.tracking_uri, registry.artifact_root).client()
    versions = client.search_model_versions(f"name='{service}' and run_id='{run_id}'")
    assert [int(found.version) for found in versions] == [version.version]
    assert len(client.get_run(run_id).outputs.model_outputs) == 1
    assert registry.load_model(version) is not None


def test_a_loaded_model_predicts_like_the_registered_one(
    registry: Registry, register: Any, pipeline: Pipeline, rows: pd.DataFrame
) -> None:
    loaded = registry.load_model(register())
    np.testing.assert_array_equal(loaded.predict_proba(rows), pipeline.predict_proba(rows))


def test_mlflow_itself_can_serve_the_version(register: Any, home: Home) -> None:
    version = register()
    folder = home.model_artifacts / version.service / "models"
    (model,) = folder.glob("*/artifacts/MLmodel")
    text = model.read_text()
    for part in (
        "python_function",
        "serialization_format: skops",
        '"name": "age"',
        "input_example",
    ):
        assert part in text
    requirements = (model.parent / "requirements.txt").read_text()
    assert "scikit-learn==" in requirements


def test_a_type_that_was_not_reviewed_is_not_registered(
    registry: Registry, rows: pd.DataFrame, service: str
) -> None:
    unsafe = make_pipeline(FunctionTransformer(os.path.exists)).fit(rows)
    run_id = registry.start_run(service, "unsafe", {})
    with pytest.raises(ModelUntrusted):
        registry.register_model(run_id, service, unsafe, rows.head(3), np.zeros(3), {})
    assert registry.find_alias(service, "champion") is None


def test_trusted_types_in_a_file_are_ignored(
    registry: Registry, register: Any, home: Home, rows: pd.DataFrame
) -> None:
    import skops.io

    version = register()
    (model,) = (home.model_artifacts / version.service).glob("models/*/artifacts/model.skops")
    unsafe = make_pipeline(FunctionTransformer(os.path.exists)).fit(rows)
    skops.io.dump(unsafe, model)
    description = model.with_name("MLmodel")
    trusting = "skops_trusted_types:\n    - genericpath.exists"
    description.write_text(description.read_text().replace("skops_trusted_types:", trusting))
    with pytest.raises(ModelUntrusted):
        registry.load_model(version)


def test_a_missing_model_file_is_named(registry: Registry, register: Any, home: Home) -> None:
    version = register()
    shutil.rmtree(home.model_artifacts / version.service / "models")
    with pytest.raises(RegistryUnavailable, match=version.uri):
        registry.load_model(version)


def test_promotion_moves_every_alias(registry: Registry, register: Any, service: str) -> None:
    first, second = register(), register()
    old, new = registry.promote(service)
    assert old is not None
    assert (old.version, new.version) == (first.version, second.version)
    found = {name: registry.find_alias(service, name) for name in ("champion", "previous")}
    assert {name: version and version.version for name, version in found.items()} == {
        "champion": second.version,
        "previous": first.version,
    }
    assert registry.find_alias(service, "candidate") is None


def test_promotion_without_a_candidate_is_refused(registry: Registry, service: str) -> None:
    with pytest.raises(PromotionRefused, match="no candidate"):
        registry.promote(service)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({**PASSED, "sluice.verdict.bias": "insufficient"}, "bias insufficient"),
        ({**PASSED, "sluice.verdict.data": "fail"}, "data fail"),
        ({}, "carries no verdict"),
    ],
)
def test_a_candidate_whose_gates_did_not_all_pass_is_refused(
    registry: Registry, register: Any, service: str, tags: dict[str, str], message: str
) -> None:
    register()
    register(tags=tags)
    with pytest.raises(PromotionRefused, match=message):
        registry.promote(service)
    champion = registry.find_alias(service, "champion")
    assert champion is not None
    assert champion.tags == {**PASSED, "sluice.registered": "champion"}


@pytest.mark.parametrize("alias", ["previous", "champion"])
def test_an_interrupted_promotion_is_completed_by_the_next(
    alias: str, registry: Registry, register: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registry.find_alias(service, "champion") or register()
    second = register()
    move = Store.set_alias

    def cut_off(store: Store, name: str, moved: str, version: int) -> None:
        move(store, name, moved, version)
        if moved == alias:
            raise ConnectionError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "set_alias", cut_off)
        with pytest.raises(RegistryUnavailable, match="cut off"):
            registry.promote(service)
    old, new = registry.promote(service)
    assert old is not None
    assert (old.version, new.version) == (first.version, second.version)


def test_no_pickle_is_below_the_artifact_root(register: Any, home: Home) -> None:
    register()
    files = [path for path in home.model_artifacts.rglob("*") if path.is_file()]
    assert any(path.suffix == ".skops" for path in files)
    for path in files:
        contents = {path.name: path.read_bytes()}
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents |= {name: archive.read(name) for name in archive.namelist()}
        for name, content in contents.items():
            assert not is_pickle(content), f"{path} {name}"


def is_pickle(content: bytes) -> bool:
    """Protocol 2 and newer begin with 0x80; in base64 that is `gA`."""
    return (content[:1] == b"\x80" and content[1:2] <= b"\x05") or content.startswith(b"gA")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_the_search_for_pickles_would_find_one(protocol: int) -> None:
    assert is_pickle(pickle.dumps({"a": 1}, protocol=protocol))


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("call", ["start_run", "find_alias", "prepare"])
def test_a_locked_database_is_given_up_in_time(registry: Registry, home: Home, call: str) -> None:
    calls = {
        "start_run": lambda: registry.start_run("locked", "never", {}),
        "find_alias": lambda: registry.find_alias("locked", "champion"),
        "prepare": Registry(registry.tracking_uri, home.model_artifacts, home.root).prepare,
    }
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="database is locked"):
        calls[call]()
    assert time.monotonic() - began < slowed(BOUND)


def test_a_file_that_is_no_database_is_given_up_in_time(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"not a database" * 100)
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="not a database"):
        Registry(f"sqlite:///{database}", tmp_path, tmp_path).prepare()
    assert time.monotonic() - began < slowed(BOUND)


def test_a_folder_that_cannot_be_created_is_given_up_in_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="preparing the registry"):
        Registry(f"sqlite:///{tmp_path}/file/mlflow.db", tmp_path, tmp_path).prepare()
    assert time.monotonic() - began < slowed(BOUND)


def test_a_server_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="looking for the champion of nobody"):
        Registry("http://127.0.0.1:9", tmp_path, tmp_path).find_alias("nobody", "champion")
    assert time.monotonic() - began < slowed(BOUND)


def test_artifacts_that_cannot_be_written_are_an_infrastructure_error(
    registry: Registry, service: str
) -> None:
    run_id = registry.start_run(service, "blocked", {})
    folder = registry.artifact_root / service
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with pytest.raises(RegistryUnavailable, match=r"logging card.md"):
        registry.log_text(run_id, "card.md", "text")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_a_full_disk_is_an_error_of_its_own(error: Exception) -> None:
    with pytest.raises(StorageFull, match="registering: no space"), translate_faults("registering"):
        raise error


def test_a_transient_cause_of_another_error_is_found() -> None:
    def fail() -> None:
        try:
            raise ConnectionResetError("reset")
        except ConnectionResetError as error:
            raise RuntimeError("something failed") from error

    with pytest.raises(RegistryUnavailable, match="reading: reset"), translate_faults("reading"):
        fail()


def test_a_programming_error_is_not_translated() -> None:
    with pytest.raises(KeyError), translate_faults("reading"):
        raise KeyError("typo")


def test_a_gates_error_passes_through() -> None:
    with pytest.raises(PromotionRefused, match=r"^no$"), translate_faults("promoting"):
        raise PromotionRefused("no")


def test_mlflows_global_settings_are_not_changed(registry: Registry, register: Any) -> None:
    register()
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.mark.slow  # two interpreters migrate a database
def test_two_processes_may_prepare_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sluice.home import Home;"
        "from sluice.adapters.registry.client import open_registry;"
        "registry = open_registry(Home(Path(sys.argv[1]))); registry.prepare();"
        "registry.start_run('service', 'both', {})"
    )
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    both = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs == [(b"", b""), (b"", b"")]


def test_file_that_a_run_lacks_is_none_and_reading_it_is_refused(
    registry: Registry, service: str
) -> None:
    run_id = registry.start_run(service, "files", {})
    registry.log_text(run_id, "evidence/one.json", "{}")
    assert registry.find_text(run_id, "evidence/one.json") == "{}"
    assert registry.find_text(run_id, "evidence/two.json") is None
    assert registry.find_text(run_id, "config.yaml") is None
    with pytest.raises(RegistryUnavailable, match=r"evidence/two\.json of run \w+: .*no such file"):
        registry.read_text(run_id, "evidence/two.json")

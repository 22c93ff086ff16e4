"""The fetcher gets the named versions from a real registry, tests them, or logs why not."""

import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from serving.models.cache import ModelCache, ModelKey, list_named
from serving.models.loading import load_cached
from serving.process.fetcher import LONGEST_RETRY, MOST, RETRY_SECONDS, Fetcher, FetchOutcome
from serving.routing.served import keep_served, list_served
from sluice.adapters.control.store import Control, open_control
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.adapters.registry.signing import sign_run
from sluice.adapters.security.signatures import SignatureCheck
from sluice.control.route import Mode, Route
from sluice.errors import ControlUnavailable, ModelDamaged
from sluice.home import Home
from sluice.models.export.onnx_export import SAMPLE_FILE, SAMPLE_ROWS
from support.gateway.fetches import FinishedFetch, fetch_here, fetch_named
from support.gateway.models import describe_model, register_towns, sign_stored
from support.servers.images import add_registry_database


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A state folder with a registry that is ready."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        home = add_registry_database(Home(tmp_path_factory.mktemp("state")))
        open_registry(home).prepare()
        yield home


@pytest.fixture(scope="module")
def registry(state: Home) -> Registry:
    return open_registry(state)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A service of the test's own, so that one registry serves all tests."""
    return request.node.name.replace("_", "-")[-40:].strip("-")


@pytest.fixture
def control(tmp_path: Path) -> Control:
    control = open_control(Home(tmp_path / "control"))
    control.prepare()
    return control


@pytest.fixture
def register(registry: Registry, towns: Any, service: str) -> Callable[..., ModelVersionRef]:
    """Register the small model as a release does; return the version."""
    return partial(register_towns, registry, towns, service)


@pytest.fixture
def fetcher(control: Control, registry: Registry, models: ModelCache) -> Fetcher:
    def start(key: ModelKey, _now: float) -> FinishedFetch:
        return fetch_here(registry, control.admissions, models, key)

    return Fetcher(control.routes.list_routes, start, models)


def test_a_named_version_is_fetched_once_and_answers(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str, towns: Any
) -> None:
    first, second = register(), register(form="sklearn")
    control.routes.swap(None, Route(service, 1, 2, salt="s", mode=Mode.SHADOW))
    found = fetch_named(fetcher, 0.0)
    assert [(entry.version, entry.refused) for entry in found] == [(1, ""), (2, "")]
    assert found == [models.find(service, 1), models.find(service, 2)]
    assert fetch_named(fetcher, 1.0) == []
    loaded = [load_cached(models, entry) for entry in found]
    assert [(item.backend.name, item.checked_rows) for item in loaded] == [
        ("onnx", SAMPLE_ROWS),
        ("sklearn", SAMPLE_ROWS),
    ]
    manifest, _ = models.open(found[0])
    assert (manifest.run_id, manifest.kind) == (first.run_id, "hist_gradient_boosting")
    assert manifest.data_config == towns.data
    assert second.version == 2


def test_a_version_that_did_not_pass_its_gates_is_not_fetched_whatever_names_it(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str
) -> None:
    register(verdicts={})
    control.routes.follow_champion(service, 1)
    assert fetch_named(fetcher, 0.0) == []
    entry = models.find(service, 1)
    assert entry is not None
    assert "it may not serve: " in entry.refused
    assert "it carries no verdict" in entry.refused
    assert not entry.digest


def test_a_version_with_an_exception_is_fetched_and_says_why_it_may_serve(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str
) -> None:
    register(verdicts={})
    control.routes.follow_champion(service, 1)
    turns = [turn * (RETRY_SECONDS + 1) for turn in range(4)]
    assert [fetch_named(fetcher, turn) for turn in turns[:3]] == [[], [], []]
    control.admissions.make_exception(service, 1, "Ada", "an outage", datetime.now(UTC))
    [entry] = fetch_named(fetcher, turns[3])  # it waits no longer, however often it was refused
    manifest, _ = models.open(entry)
    assert manifest.admitted == "an exception by Ada: an outage"


def test_a_model_that_an_earlier_sluice_fetched_is_checked_and_fetched_again(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str
) -> None:
    register()
    control.routes.follow_champion(service, 1)
    [entry] = fetch_named(fetcher, 0.0)
    manifest, folder = models.open(entry)
    earlier = models.keep(replace(manifest, admitted=""), folder)
    models.publish(earlier)
    with pytest.raises(ModelDamaged, match="does not say why the version may serve"):
        load_cached(models, earlier)
    models.discard(earlier)
    assert fetch_named(fetcher, 1.0) == [entry]


@pytest.mark.parametrize(
    "file",
    ["model.skops", "serving/serving.onnx", SAMPLE_FILE],
    ids=["native", "export", "sample"],
)
def test_a_file_changed_by_one_byte_after_registration_is_never_served(  # noqa: PLR0917
    control: Control,
    fetcher: Fetcher,
    models: ModelCache,
    registry: Registry,
    register: Any,
    service: str,
    file: str,
) -> None:
    register()
    control.routes.follow_champion(service, 1)
    (good,) = fetch_named(fetcher, 0.0)
    places = registry.artifact_root / service / "models"
    before = set(places.iterdir())
    register()
    [place] = [folder / "artifacts" for folder in places.iterdir() if folder not in before]
    content = bytearray((place / file).read_bytes())
    content[len(content) // 2] ^= 1
    (place / file).write_bytes(content)
    control.routes.follow_champion(service, 2)
    assert fetch_named(fetcher, 1.0) == []
    entry = models.find(service, 2)
    assert entry is not None
    assert f"{file} is not the one that was signed" in entry.refused
    assert not entry.digest
    assert load_cached(models, good).version == 1


def test_a_version_that_nobody_signed_is_refused_until_a_person_signs_it(  # noqa: PLR0917
    control: Control,
    fetcher: Fetcher,
    models: ModelCache,
    registry: Registry,
    register: Any,
    service: str,
    tmp_path: Path,
) -> None:
    version = register()
    (file,) = registry.artifact_root.glob(f"**/{version.run_id}/artifacts/signature.json")
    file.unlink()
    control.routes.follow_champion(service, 1)
    assert fetch_named(fetcher, 0.0) == []
    entry = models.find(service, 1)
    assert entry is not None
    assert "v1 is not signed; next: release it again, or `sluice sign" in entry.refused
    folder = registry.download_model(version, tmp_path)
    sign_run(registry.store, registry.keys, service, version.run_id, folder, "Ada", "checked")
    [fetched] = fetch_named(fetcher, RETRY_SECONDS + 1)
    checked = ModelCache(models.folder, SignatureCheck("require", registry.keys))
    signature = checked.open(fetched)[0].signature
    assert '"by": "Ada"' in signature


def test_a_configuration_changed_after_registration_is_never_served(
    control: Control,
    fetcher: Fetcher,
    models: ModelCache,
    registry: Registry,
    register: Any,
    service: str,
) -> None:
    version = register()
    (file,) = registry.artifact_root.glob(f"**/{version.run_id}/artifacts/config.yaml")
    file.write_text(file.read_text() + "# one more line\n")
    control.routes.follow_champion(service, 1)
    assert fetch_named(fetcher, 0.0) == []
    entry = models.find(service, 1)
    assert entry is not None
    assert "config.yaml is not the one that was signed" in entry.refused


def test_versions_that_no_route_names_are_not_fetched(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str
) -> None:
    register(), register()
    control.routes.follow_champion(service, 2)
    fetch_named(fetcher, 0.0)
    assert models.find(service, 1) is None
    assert models.find(service, 2)


@pytest.mark.parametrize("damage", ["index", "folder", "file"])
def test_a_model_that_a_worker_discarded_is_fetched_again(
    control: Control,
    fetcher: Fetcher,
    models: ModelCache,
    register: Any,
    service: str,
    damage: str,
) -> None:
    register()
    control.routes.follow_champion(service, 1)
    (entry,) = fetch_named(fetcher, 0.0)
    if damage == "index":
        (models.folder / f"{service}-1.json").write_text("{")
    elif damage == "folder":
        shutil.rmtree(models.folder / entry.digest)
        models.discard(entry)
    else:
        (models.folder / entry.digest / "model.skops").write_bytes(b"")
        with pytest.raises(ModelDamaged):
            load_cached(models, entry)
        models.discard(entry)
    assert fetch_named(fetcher, 1.0) == [entry]
    assert load_cached(models, entry).checked_rows == SAMPLE_ROWS


def test_a_version_with_other_answers_is_refused_and_retried_later(  # noqa: PLR0917
    control: Control,
    fetcher: Fetcher,
    models: ModelCache,
    register: Any,
    service: str,
    towns: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sample = json.loads((towns.folder / SAMPLE_FILE).read_text())
    sample["labels"] = ["yes"] * len(sample["labels"])
    register(**{SAMPLE_FILE: json.dumps(sample)})
    control.routes.follow_champion(service, 1)
    assert fetch_named(fetcher, 0.0) == []
    entry = models.find(service, 1)
    assert entry is not None
    assert "answers differ from those of its evaluation" in entry.refused
    assert [path.name for path in models.folder.iterdir() if path.is_dir()] == []
    assert len(caplog.records) == 1
    fetch_named(fetcher, RETRY_SECONDS - 1)
    assert len(caplog.records) == 1
    fetch_named(fetcher, RETRY_SECONDS + 1)
    assert len(caplog.records) == 2


def test_a_poisoned_model_file_of_the_registry_never_reaches_a_worker(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str, state: Home
) -> None:
    version = register(form="sklearn")
    (file,) = (state.model_artifacts / service).glob("models/*/artifacts/model.skops")
    file.write_bytes(file.read_bytes()[:2000])
    sign_stored(open_registry(state), version)
    control.routes.follow_champion(service, 1)
    assert fetch_named(fetcher, 0.0) == []
    entry = models.find(service, 1)
    assert entry is not None
    assert "is truncated, damaged, or no model file" in entry.refused


def test_an_unreachable_registry_leaves_the_cached_models(  # noqa: PLR0917
    control: Control,
    fetcher: Fetcher,
    models: ModelCache,
    register: Any,
    service: str,
    state: Home,
    caplog: pytest.LogCaptureFixture,
) -> None:
    register(), register()
    control.routes.follow_champion(service, 1)
    (first,) = fetch_named(fetcher, 0.0)
    control.routes.follow_champion(service, 2)
    other = sqlite3.connect(state.mlflow / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert fetch_named(fetcher, 1.0) == []
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert models.find(service, 1) == first
    assert models.find(service, 2) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    (second,) = fetch_named(fetcher, 1.0 + RETRY_SECONDS)
    assert second.version == 2
    assert load_cached(models, first)


def test_a_version_that_the_registry_does_not_have_is_logged(
    control: Control, fetcher: Fetcher, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    control.routes.follow_champion(service, 7)
    assert fetch_named(fetcher, 0.0) == []
    assert f"the registry has no {service} v7" in caplog.text


def test_an_unreachable_store_is_an_infrastructure_error(models: ModelCache) -> None:
    def fail() -> list[Route]:
        raise ControlUnavailable("control store: listing routes: database is locked")

    with pytest.raises(ControlUnavailable):
        Fetcher(fail, lambda *_: EndlessFetch(), models).fetch_named(0.0)


def test_of_two_concurrent_fetches_of_a_version_one_downloads_it(
    control: Control, registry: Registry, models: ModelCache, register: Any, service: str
) -> None:
    import threading

    register()
    found: list[FinishedFetch] = []

    def fetch() -> None:
        found.append(fetch_here(registry, control.admissions, models, (service, 1)))

    fetches = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in fetches:
        thread.start()
    for thread in fetches:
        thread.join()
    assert [item.outcome.published for item in found] == [True, True]
    entry = models.find(service, 1)
    assert entry is not None
    assert load_cached(models, entry)
    assert len([path for path in models.folder.iterdir() if path.is_dir()]) == 1


class EndlessFetch:
    """A fetch that runs until it is told how it ended."""

    def __init__(self) -> None:
        self.outcome: FetchOutcome | None = None

    def poll(self, _now: float) -> FetchOutcome | None:
        return self.outcome

    def end(self) -> None:
        self.outcome = FetchOutcome(reason="ended")


def test_fetches_that_never_end_leave_a_place_for_versions_that_did_not_fail(
    models: ModelCache,
) -> None:
    routes = [Route(name, 1) for name in "abcd"]
    started: dict[ModelKey, list[EndlessFetch]] = {}

    def start(key: ModelKey, _now: float) -> EndlessFetch:
        started.setdefault(key, []).append(EndlessFetch())
        return started[key][-1]

    fetcher = Fetcher(lambda: routes, start, models)
    fetcher.fetch_named(0.0)
    assert list(started) == [(name, 1) for name in "abc"]
    assert len(started) == MOST
    for fetches in started.values():
        fetches[0].outcome = FetchOutcome(refused=True, reason="it hangs")
    later = 2 * RETRY_SECONDS
    fetcher.fetch_named(0.0)
    assert ("d", 1) in started
    fetcher.fetch_named(later)
    again = [key for key, fetches in started.items() if len(fetches) > 1]
    assert again == [("a", 1)], "of those that failed one at a time"
    entry = models.find("a", 1)
    assert entry is not None
    assert entry.refused == "it hangs"


def test_a_version_that_is_refused_again_and_again_is_tried_less_and_less(
    models: ModelCache,
) -> None:
    times: list[float] = []

    def start(_key: ModelKey, now: float) -> FinishedFetch:
        times.append(now)
        return FinishedFetch(FetchOutcome(refused=True, reason="it is damaged"))

    fetcher = Fetcher(lambda: [Route("a", 1)], start, models)
    for second in range(0, 8000, 10):
        fetcher.fetch_named(float(second))
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[:3] == [pytest.approx(RETRY_SECONDS * 2**n, abs=20) for n in range(3)]
    assert max(gaps) <= LONGEST_RETRY + 20


def test_why_a_version_cannot_be_fetched_is_known_until_it_is(
    control: Control, fetcher: Fetcher, models: ModelCache, register: Any, service: str
) -> None:
    control.routes.follow_champion(service, 1)
    models.note_problem(service, 1, "the registry is away")
    assert models.find_problem(service, 1) == "the registry is away"
    register()
    assert fetch_named(fetcher, 0.0)
    assert models.find_problem(service, 1) == ""


def test_what_a_replica_served_last_is_not_removed(
    control: Control, models: ModelCache, towns: Any, tmp_path: Path
) -> None:
    for version in range(1, 9):
        facts = describe_model(towns.data, "binary", version)
        models.publish(models.keep(facts, towns.folder))
    control.routes.follow_champion("towns", 8)
    replica = tmp_path / "serving" / "gateway"
    replica.mkdir(parents=True)
    keep_served(replica, {"towns": 1})
    lasts = lambda: list_served(tmp_path / "serving")  # noqa: E731
    Fetcher(control.routes.list_routes, lambda *_: EndlessFetch(), models, lasts).fetch_named(0.0)
    assert models.find("towns", 1)
    assert models.find("towns", 2) is None


def test_champions_come_before_candidates() -> None:
    routes = [Route("a", 1, 2, salt="s", mode=Mode.SHADOW), Route("b", 5)]
    assert list_named(routes) == [("a", 1), ("b", 5), ("a", 2)]


@pytest.mark.slow
def test_the_process_fetches_and_ends_on_sigterm(register: Any, service: str, state: Home) -> None:
    import os
    import signal
    import subprocess
    import sys
    import time

    register()
    control = open_control(state)
    control.prepare()
    control.routes.follow_champion(service, 1)
    models = ModelCache(state.models, None)
    environment = {**os.environ, "SLUICE_HOME": str(state.root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.process.fetcher"], env=environment, stderr=subprocess.PIPE
    )
    try:
        late = time.monotonic() + 120
        while models.find(service, 1) is None and time.monotonic() < late:
            assert process.poll() is None
            time.sleep(0.2)
        entry = models.find(service, 1)
        assert entry is not None
        assert load_cached(models, entry).checked_rows == SAMPLE_ROWS
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()

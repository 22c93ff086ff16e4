"""Events start at most one release, where a service's file says so; each decision says why."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.delta import append_batch
from sluice.adapters.tables.files import read_batch
from sluice.config.loading import load_service
from sluice.home import Home
from support.releases.runs import write_service
from support.releases.sources import OLD, events_of, rows_of, use_folder
from support.releases.verdicts import PASSED
from support.rollouts.live import register_version, serve_first
from support.servers.images import use_home
from support.servers.outages import deploy_flow
from support.servers.stack import ask, create_pool, find_runs, remove_all
from tasks.retraining.decisions import find_change

pytestmark = pytest.mark.slow

DRIFT: dict[str, Any] = {"kind": "data", "features": ["age", "education"], "version": 1}
DROP: dict[str, Any] = {"metric": "accuracy", "baseline": 0.79, "value": 0.71, "version": 1}
FREE = {"minimum_labels": 0}
TEXT = "drift.detected: data (age, education)"


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with (
        use_home(tmp_path_factory.mktemp("retrained")) as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        use_folder(home.root / "configs", patch)
        yield home


@pytest.fixture(scope="module")
def release(home: Home) -> Iterator[Any]:
    """The deployment of `release`, whose runs no worker takes."""
    create_pool()
    try:
        deployed = deploy_flow("release")
        yield ask(lambda client: client.read_deployment(deployed))
    finally:
        remove_all()


def serve(home: Home, service: str, **retrain: Any) -> Control:
    """Configure a service with data, whose v1 serves; return the control store."""
    changes = [OLD]
    if retrain:
        section = f"\nretrain: {json.dumps(retrain)}\n\nserving: auto "
        changes.append(("\nserving: auto ", section))
    folder: Path = home.root / "configs"
    config = load_service(write_service(folder, service, *changes).stem, "development")
    file = home.root / f"{service}.parquet"
    rows_of(2015, 600).to_parquet(file, index=False)
    append_batch(home.table(service), read_batch(file, config.data), {}, config.data.id)
    marks = prepare_control(home).watermarks
    seen = marks.find(service, "data version")
    assert marks.move(seen, seen.settle("v0"))  # announced, so that a watch finds nothing else
    registry = open_registry(home)
    register_version(registry, service, {**PASSED, "sluice.data.rows": "100"})
    return serve_first(home, registry, service)


def retrain(service: str, event: str, payload: dict[str, Any], seconds: float = 0.0) -> Any:
    """Run the flow as the trigger of an event does; return its state."""
    from flows.retrain import retrain as flow

    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return flow(service, event, payload, at.isoformat(), return_state=True)


def runs_of(release: Any, service: str) -> list[Any]:
    return [run for run in find_runs(release) if run.parameters["service"] == service]


def end_run(run: Any, state: Any) -> None:
    ask(lambda client: client.set_flow_run_state(run.id, state, force=True))


def test_drift_starts_nothing_by_default(home: Home, release: Any) -> None:
    serve(home, "usual")
    state = retrain("usual", "drift.detected", DRIFT)
    assert (state.name, state.message) == (
        "Skipped",
        "usual: drift.detected (data (age, education)) is closed: `retrain` has no `drift`, only "
        "data, performance",
    )
    assert runs_of(release, "usual") == []


def test_drift_starts_exactly_one_release_where_the_file_says_so(home: Home, release: Any) -> None:
    serve(home, "wide", when=["drift"], **FREE)
    at = datetime.now(UTC).isoformat()
    from flows.retrain import retrain as flow

    states = [flow("wide", "drift.detected", DRIFT, at, return_state=True) for _ in range(3)]
    assert [state.name for state in states] == ["Completed", "Skipped", "Skipped"]
    (run,) = runs_of(release, "wide")
    assert run.name == f"wide data v0 {TEXT}"
    assert run.parameters == {"service": "wide", "data_version": 0, "cause": TEXT}
    assert "cause:drift.detected" in run.tags
    assert states[0].message == (
        f"wide: {TEXT} starts a release of data v0, flow run {run.id}: no labels are asked for"
    )
    assert states[1].message == "wide: known already: a release is started: no labels are asked for"
    later = retrain("wide", "drift.detected", DRIFT, 60)
    assert later.name == "Skipped"
    assert len(runs_of(release, "wide")) == 1


def test_a_second_cause_within_the_cool_down_waits_and_then_starts_one_with_both(
    home: Home, release: Any
) -> None:
    from prefect.states import Crashed

    control = serve(home, "cooling", when=["performance", "drift"], cool_down="1 h", **FREE)
    assert retrain("cooling", "performance.dropped", DROP).name == "Completed"
    (first,) = runs_of(release, "cooling")
    end_run(first, Crashed())
    waiting = retrain("cooling", "drift.detected", DRIFT, 1)
    assert waiting.name == "Skipped"
    assert "waits: cool-down until " in waiting.message
    assert len(runs_of(release, "cooling")) == 1
    write_service_again(home, "cooling")
    assert watch("cooling").message.startswith(
        "cooling: performance.dropped and drift.detected: accuracy 0.71 against 0.79; data (age, "
        "education) starts a release of data v0"
    )
    second = next(run for run in runs_of(release, "cooling") if run.id != first.id)
    assert {"cause:drift.detected", "cause:performance.dropped"} <= set(second.tags)
    assert len(control.retrainings.list_open("cooling")) == 2


def write_service_again(home: Home, service: str) -> None:
    """End the cool-down."""
    path = home.root / "configs" / f"{service}.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"1 h"', '"0 s"'), encoding="utf-8")


def watch(service: str) -> Any:
    from flows.watch import watch as flow

    return flow(service, return_state=True)


def test_too_few_labels_wait_and_are_said_once(api: str, home: Home, release: Any) -> None:
    serve(home, "unlabelled", minimum_labels=700)
    state = retrain("unlabelled", "performance.dropped", DROP)
    reason = "500 of 700 labels are new since v1 was trained"
    assert state.name == "Skipped"
    assert state.message.endswith(f" waits: {reason}")
    again = retrain("unlabelled", "performance.dropped", {**DROP, "value": 0.7}, 1)
    assert again.name == "Skipped"
    found = [event["payload"] for event in events_of(api, "unlabelled", "retraining.waiting")]
    cause = "performance.dropped: accuracy 0.71 against 0.79"
    assert found == [{"found": 500, "needed": 700, "cause": cause}]
    assert runs_of(release, "unlabelled") == []
    assert find_change(load_service("unlabelled", "development")) == ""


def test_what_was_over_before_a_release_starts_nothing(home: Home, release: Any) -> None:
    serve(home, "recovered", **FREE)
    over = retrain("recovered", "performance.recovered", DROP, 1)
    assert "it was over at " in over.message
    late = retrain("recovered", "performance.dropped", DROP, -60)
    assert late.message.startswith("recovered: known already: it was over at ")
    assert runs_of(release, "recovered") == []


def test_a_cause_about_another_version_starts_nothing(home: Home, release: Any) -> None:
    serve(home, "moved", **FREE)
    state = retrain("moved", "performance.dropped", {**DROP, "version": 7})
    assert state.message.endswith("is closed: it is about v7, and v1 serves")
    assert runs_of(release, "moved") == []


def test_an_event_that_started_no_run_is_found_by_the_next_watch(home: Home, release: Any) -> None:
    from tasks.run.events import publish_event

    serve(home, "lost", **FREE)
    publish_event("lost", "performance.dropped", DROP)
    loss = "performance.dropped: accuracy 0.71 against 0.79"
    assert find_change(load_service("lost", "development")) == f"{loss} starts a release"
    assert watch("lost").message.startswith(
        "lost: performance.dropped: accuracy 0.71 against 0.79 starts a release of data v0"
    )
    assert len(runs_of(release, "lost")) == 1
    assert watch("lost").name == "Skipped"
    assert len(runs_of(release, "lost")) == 1


def test_two_runs_at_once_start_one_release(home: Home, release: Any) -> None:
    serve(home, "twice", when=["drift", "performance"], **FREE)
    events = [("drift.detected", DRIFT), ("performance.dropped", DROP)]
    threads = [threading.Thread(target=retrain, args=("twice", *event)) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs_of(release, "twice")) == 1


def test_a_release_that_could_not_be_started_is_started_by_the_next_watch(
    home: Home, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(home, "stopped", **FREE)
    monkeypatch.setattr("tasks.retraining.decisions.DEPLOYMENT", "release/none")
    state = retrain("stopped", "performance.dropped", DROP)
    assert state.is_failed()
    assert state.message.startswith(
        "ServerUnavailable: stopped: the release for performance.dropped: "
    )
    monkeypatch.undo()
    assert "starts a release of data v0" in watch("stopped").message
    assert len(runs_of(release, "stopped")) == 1


def test_an_event_without_its_subject_is_refused(home: Home, release: Any) -> None:
    serve(home, "vague", **FREE)
    state = retrain("vague", "alert.raised", {})
    assert state.message.startswith(
        "CauseInvalid: vague: alert.raised: payload.rule: found None; allowed: a name"
    )
    assert retrain("vague", "schedule", {}).message.startswith("vague: schedule is closed: ")


def test_new_data_starts_nothing_where_the_file_does_not_list_it(home: Home) -> None:
    from flows.release import release as flow

    serve(home, "manual", when=[])
    state = flow("manual", cause="data.changed", return_state=True)
    assert (state.name, state.message) == (
        "Skipped",
        "`retrain` of manual has no `data`, only an empty list: a new data version starts no "
        "release",
    )

"""A change of data starts one release, whatever the number of events; failures show."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import open_control
from sluice.home import Home
from support.releases.runs import ingest_year, logs_of_run
from support.servers.images import add_registry_database
from support.servers.stack import (
    POOL,
    ask,
    await_answer,
    await_final,
    count_versions,
    create_run,
    deploy,
    find_deployments,
    find_runs,
    remove_all,
    remove_deployment,
    run_worker,
)

pytestmark = pytest.mark.slow

SERVICE = "employment"
EVENT_SECONDS, END_SECONDS = 180.0, 400.0
LOG_SECONDS = 5.0
"""Time for the last lines of a run, which its process sends as it ends."""


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A state folder with one data version, announced before any trigger was deployed."""
    with pytest.MonkeyPatch.context() as patch:
        root: Path = tmp_path_factory.mktemp("triggers")
        add_registry_database(Home(root))
        patch.setenv("SLUICE_HOME", str(root))
        assert ingest_year(2015).is_completed()
        flush()
        yield Home(root)


@pytest.fixture(scope="module")
def deployed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The shipped deployments and a worker in the state folder; removed at the end."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    try:
        deploy()
        with run_worker(log, SLUICE_HOME=str(home.root)):
            yield find_deployments()
    finally:
        remove_all()


def flush() -> None:
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=30)


def emit(payload: dict[str, Any], **labels: str) -> None:
    """Emit `data.changed` as another program would."""
    from prefect.events import emit_event

    resource = {
        "prefect.resource.id": f"sluice.service.{SERVICE}",
        "prefect.resource.name": SERVICE,
        **{label.replace("_", "."): value for label, value in labels.items()},
    }
    emit_event("data.changed", resource=resource, payload=payload)


def await_runs(deployment: Any, count: int) -> list[Any]:
    return list(
        await_answer(
            lambda: found if len(found := find_runs(deployment)) >= count else [], EVENT_SECONDS
        )
    )


def state_names(runs: list[Any]) -> list[str]:
    states = [await_final(run, END_SECONDS) for run in runs]
    assert all(states)
    return sorted(state.name for state in states)


def causes(home: Home) -> list[str]:
    return [item.outcome for item in open_control(home).causes.list_claims(SERVICE)]


@pytest.fixture(scope="module")
def burst(deployed: dict[str, Any], home: Home) -> list[Any]:
    """The runs that ten events of one version started."""
    from tasks.run.events import publish_event

    for _ in range(10):
        publish_event(SERVICE, "data.changed", {"version": 0, "rows": 12_000})
    flush()
    runs = await_runs(deployed["release/release"], 1)
    assert state_names(runs) == ["Completed"]
    return runs


def test_ten_events_of_one_version_release_once(burst: list[Any], home: Home) -> None:
    assert count_versions(home) == 1
    assert causes(home) == ["registered it"]


def test_ten_events_of_one_version_start_one_run(
    burst: list[Any], deployed: dict[str, Any]
) -> None:
    runs = find_runs(deployed["release/release"])
    assert [run.id for run in runs] == [run.id for run in burst]
    assert runs[0].parameters == {"service": SERVICE, "data_version": 0, "cause": "data.changed"}


def test_events_and_runs_that_come_again_find_it_done(
    burst: list[Any], deployed: dict[str, Any], home: Home
) -> None:
    """An event without a label or without a version, and two runs at once: nothing is done."""
    release = deployed["release/release"]
    emit({"version": 0})
    flush()
    requested = [
        create_run(release, service=SERVICE, data_version=0, cause="data.changed") for _ in range(2)
    ]
    later = [run for run in await_runs(release, 4) if run.id not in {burst[0].id}]
    assert {run.id for run in requested} < {run.id for run in later}
    assert state_names(later) == ["Skipped"] * 3
    assert count_versions(home) == 1
    assert causes(home) == ["registered it"]


def test_event_without_a_version_means_the_latest(
    burst: list[Any], deployed: dict[str, Any]
) -> None:
    release = deployed["release/release"]
    before = {run.id for run in find_runs(release)}
    emit({}, sluice_version="unsaid")
    flush()
    runs = [run for run in await_runs(release, len(before) + 1) if run.id not in before]
    assert [run.parameters["data_version"] for run in runs] == [-1]
    assert state_names(runs) == ["Skipped"]


def test_a_loss_and_drift_are_decided_by_runs_that_say_why(
    burst: list[Any], deployed: dict[str, Any]
) -> None:
    """By default drift starts nothing; a loss waits, as the release has just run."""
    from tasks.run.events import publish_event

    releases = {run.id for run in find_runs(deployed["release/release"])}
    loss = {"metric": "accuracy", "baseline": 0.79, "value": 0.71, "version": 1}
    publish_event(SERVICE, "performance.dropped", loss)
    publish_event(SERVICE, "drift.detected", {"kind": "data", "features": ["age"], "version": 1})
    flush()
    runs = await_runs(deployed["retrain/retrain"], 2)
    assert state_names(runs) == ["Skipped"] * 2
    found = {run.parameters["event"]: run for run in find_runs(deployed["retrain/retrain"])}
    assert found["performance.dropped"].name == f"{SERVICE} performance.dropped accuracy"
    assert json.loads(found["performance.dropped"].parameters["payload"]["json"]) == loss
    said = " / ".join(str(run.state.message) for run in found.values())
    assert "performance.dropped: accuracy 0.71 against 0.79 waits: cool-down until " in said
    assert "drift.detected (data (age)) is closed: `retrain` has no `drift`" in said
    assert {run.id for run in find_runs(deployed["release/release"])} == releases


def test_ten_events_of_one_changed_prompt_start_one_run_that_names_its_cause(
    deployed: dict[str, Any],
) -> None:
    """Version 3 is not the one that is wished: the run says so and asks no model."""
    from tasks.run.events import publish_event

    release_prompt = deployed["release_prompt/release-prompt"]
    change = {"prompt": "classify", "version": 3, "identity": "0" * 64, "change": "v3, 00000000"}
    for _ in range(10):
        publish_event("classify", "prompt.changed", change)
    flush()
    runs = await_runs(release_prompt, 1)
    assert state_names(runs) == ["Skipped"]
    (run,) = find_runs(release_prompt)
    assert run.name == "classify v3 prompt.changed"
    assert run.parameters == {"prompt": "classify", "version": 3, "cause": "prompt.changed"}
    assert {"service:classify", "cause:prompt.changed", "prompt"} <= set(run.tags)
    assert "v3 is not wished any more: prompts/config.yaml wishes v1" in run.state.message


@pytest.fixture(scope="module")
def notices(deployed: dict[str, Any]) -> dict[str, Any]:
    """The failed runs by trigger: an event that no form takes, a deployment that is gone."""
    from prefect.automations import Automation
    from prefect.events import emit_event
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import EventTrigger

    gone = deployed["promote/promote"]
    remove_deployment(gone)
    created = Automation(
        name="promote by itself",
        trigger=EventTrigger(expect={"test.promote"}),
        actions=[RunDeployment(deployment_id=gone.id, parameters={"service": SERVICE})],
    ).create()
    emit({"version": "newest"}, sluice_version="newest")
    emit_event("test.promote", resource={"prefect.resource.id": "test"})
    flush()
    runs = await_runs(deployed["notice/notice"], 2)
    ask(lambda client: client.delete_automation(created.id))
    return {run.parameters["automation"]: (run, await_final(run, END_SECONDS)) for run in runs}


def test_trigger_whose_event_no_form_takes_is_seen(notices: dict[str, Any]) -> None:
    _, state = notices["release on data.changed"]
    assert state.name == "Failed"
    assert state.message.startswith("TriggerFailed: 'release on data.changed' started nothing: ")
    assert "data_version" in state.message
    assert "'newest' is not of type 'integer'" in state.message


def test_trigger_whose_deployment_is_gone_is_seen(notices: dict[str, Any]) -> None:
    _, state = notices["promote by itself"]
    assert state.name == "Failed"
    assert state.message.startswith("TriggerFailed: 'promote by itself' started nothing: ")


def test_log_of_a_refused_run_has_the_reason_and_no_traceback(notices: dict[str, Any]) -> None:
    """Of a run under a worker, whose engine logs each failed flow."""
    run, state = notices["promote by itself"]
    assert await_answer(lambda: state.message in logs_of_run(run.id), END_SECONDS)
    time.sleep(LOG_SECONDS)
    lines = logs_of_run(run.id)
    assert [line for line in lines if "Traceback" in line or "unexpected exception" in line] == []


def test_failed_triggers_share_one_artifact_with_their_history(
    notices: dict[str, Any], deployed: dict[str, Any]
) -> None:
    """Other tests of this server may have run `notice` themselves: those are no deployment's."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    from tasks.deploy.failed_triggers import KEY

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[KEY]))
    found = ask(lambda client: client.read_artifacts(artifact_filter=wanted))
    ours = {run.id for run in find_runs(deployed["notice/notice"])}
    reported = {item.flow_run_id for item in found} & ours
    assert reported == {run.id for run, _ in notices.values()}
    assert any("'newest' is not of type 'integer'" in item.data for item in found)


def test_notice_does_not_answer_its_own_failure(
    notices: dict[str, Any], deployed: dict[str, Any]
) -> None:
    """Otherwise it would fail for ever; the failure of another automation after it is reported."""
    from prefect.events import emit_event

    for name in ("notice on a failed trigger", "another"):
        emit_event(
            "prefect.automation.action.failed",
            resource={
                "prefect.resource.id": f"prefect.automation.{name}",
                "prefect.resource.name": name,
            },
            payload={"reason": "a test"},
        )
    flush()
    runs = await_runs(deployed["notice/notice"], len(notices) + 1)
    assert sorted(run.parameters["automation"] for run in runs) == sorted([*notices, "another"])
    assert runs[0].work_pool_name == POOL

"""`watch` and `keeper` looked after by the stack: a run exists where something was found."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.control.store import Control
from sluice.adapters.registry.client import Registry, open_registry
from sluice.config.loading import load_service
from sluice.drift.document import FILE
from sluice.drift.performance.reference import build_sections
from sluice.home import Home
from support.labelled import START, answer, feedback, log_records
from support.people import draw_people
from support.releases.sources import configure, events_of, rows_of, use_folder
from support.rollouts.live import register_versions, serve_first
from support.servers.images import use_home
from support.servers.outages import deploy_flow
from support.servers.stack import ask, await_answer, create_pool, find_runs, remove_all
from tasks.rollout.housekeeping import Housekeeper

pytestmark = pytest.mark.slow

SERVICE = "employment"
LOG = logging.getLogger("a housekeeping of tests")


@pytest.fixture(scope="module")
def home(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with use_home(tmp_path_factory.mktemp("kept")) as home:
        yield home


@pytest.fixture(scope="module")
def services(home: Home) -> Iterator[Path]:
    """A folder of services with one: it has three versions, v1 is champion."""
    folder = home.root / "configs"
    with pytest.MonkeyPatch.context() as patch:
        use_folder(folder, patch)
        configure(folder, SERVICE)
        register_versions(open_registry(home), SERVICE, 3)
        yield folder


@pytest.fixture(scope="module")
def registry(home: Home, services: Path) -> Registry:
    return open_registry(home)


@pytest.fixture
def control(home: Home, registry: Registry) -> Control:
    return serve_first(home, registry, SERVICE)


@pytest.fixture
def deployed(api: str, control: Control) -> Iterator[dict[str, Any]]:
    """Deployments by flow, whose runs no worker takes."""
    create_pool()
    try:
        ids = {name: deploy_flow(name) for name in ("watch", "keeper", "monitor")}
        yield {
            name: ask(lambda client, one=one: client.read_deployment(one))
            for name, one in ids.items()
        }
    finally:
        remove_all()


def look(housekeeper: Housekeeper, times: int = 1) -> None:
    for _ in range(times):
        housekeeper.look("keeper/keeper")
        housekeeper.look("watch/watch")


def count_pages(key: str) -> int:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    return len(ask(lambda client: client.read_artifacts(artifact_filter=wanted)))


def states(deployment: Any) -> list[tuple[str, str, str]]:
    runs = find_runs(deployment)
    return [(run.name, run.state_name, run.state.message) for run in runs]


def test_looks_that_find_nothing_leave_no_run_and_one_page(deployed: dict[str, Any]) -> None:
    before = count_pages("rollouts")
    look(Housekeeper(LOG), 3)
    assert [find_runs(item) for item in deployed.values()] == [[], [], []]
    assert count_pages("rollouts") == before + 1


def test_a_gain_that_can_be_measured_is_work_for_watch(
    deployed: dict[str, Any], home: Home, control: Control
) -> None:
    control.routes.follow_champion(SERVICE, 2)
    housekeeper = Housekeeper(LOG)
    housekeeper.look("watch/watch")
    assert find_runs(deployed["watch"]) == []
    promoted = control.timeline.list_served(SERVICE)[-1].at
    log_people(home, 2, 500, after=(promoted - START).total_seconds() + 0.001, step=1e-6)

    def look_again() -> list[Any]:
        housekeeper.look("watch/watch")
        return find_runs(deployed["watch"])

    assert len(await_answer(look_again, 60.0)) == 1


def test_a_repair_is_done_at_once_and_recorded_as_a_run(
    api: str, deployed: dict[str, Any], control: Control, registry: Registry
) -> None:
    registry.store.set_alias(SERVICE, "champion", 3)
    look(Housekeeper(LOG), 2)
    route = control.routes.find(SERVICE)
    assert route is not None
    assert route.champion == 3
    repair = "the alias was moved from v1 with no rollout under way"
    assert states(deployed["keeper"]) == [
        ("all", "Completed", f"{SERVICE}: v3 is champion, {repair}")
    ]
    assert len(events_of(api, SERVICE, "rollout.adopted")) >= 1
    assert states(deployed["watch"]) == []


def test_new_data_starts_one_run_which_is_not_started_again_meanwhile(
    deployed: dict[str, Any], services: Path, tmp_path: Path
) -> None:
    drop(tmp_path / "drop")
    housekeeper = Housekeeper(LOG)
    configure(services, SERVICE, kind="files", path=str(tmp_path / "drop"))
    try:
        look(housekeeper, 3)
        assert [(run.parameters, run.state_name) for run in find_runs(deployed["watch"])] == [
            ({"service": "all"}, "Scheduled")
        ]
        run = find_runs(deployed["watch"])[0]
        end_run(run)
        look(housekeeper)
        assert len(find_runs(deployed["watch"])) == 2, "it is there still"
    finally:
        configure(services, SERVICE)


def drop(folder: Path) -> None:
    """Write a file that was modified a minute ago."""
    folder.mkdir()
    rows_of(2015).to_parquet(folder / "2015.parquet", index=False)
    long_ago = time.time() - 60
    os.utime(folder / "2015.parquet", (long_ago, long_ago))


def end_run(run: Any) -> None:
    from prefect.states import Completed

    ask(lambda client: client.set_flow_run_state(run.id, Completed(), force=True))


def test_a_source_that_cannot_be_read_is_shown_by_one_run(
    deployed: dict[str, Any], services: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    configure(
        services,
        SERVICE,
        kind="sql",
        url_variable="NOWHERE",
        query="SELECT 1",
    )
    housekeeper = Housekeeper(LOG)
    try:
        look(housekeeper)
        for run in find_runs(deployed["watch"]):
            end_run(run)
        look(housekeeper, 2)
        assert len(find_runs(deployed["watch"])) == 1
    finally:
        configure(services, SERVICE)
    look(housekeeper)  # it is gone
    assert len(find_runs(deployed["watch"])) == 1


def test_a_control_store_that_is_away_is_shown_by_a_run_of_each(
    deployed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_CONTROL_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    look(Housekeeper(LOG), 2)
    looked = (deployed["watch"], deployed["keeper"])
    found = [[run.state_name for run in find_runs(item)] for item in looked]
    assert found == [["Scheduled"], ["Scheduled"]]


def test_the_look_of_the_monitor_judges_performance(
    api: str, deployed: dict[str, Any], home: Home, control: Control, registry: Registry
) -> None:
    """A loss is found beside a local stack within minutes, as by the flow `monitor`."""
    config = load_service(SERVICE, "development")
    record = registry.find_alias(SERVICE, "champion")
    assert record is not None
    sections = build_sections(config, *draw_people(2_000, 0))
    registry.log_json(record.run_id, FILE, {"format": 1, "sections": sections})
    log_people(home, record.version, config.performance.window)
    Housekeeper(LOG).look("monitor/monitor", SERVICE)
    windows = control.performance.list_last(SERVICE, record.version, 5)
    assert [(item.number, item.event) for item in windows] == [(1, "performance.dropped")]
    assert len(events_of(api, SERVICE, "performance.dropped")) == 1


def log_people(home: Home, version: int, count: int, after: float = 0.0, step: float = 1.0) -> None:
    """Log answers of a version, `step` seconds apart, and their labels, wrong for all men."""
    holdout, predictions = draw_people(count, version, flipped=1.0)
    assert predictions.scores is not None
    facts: dict[str, Any] = {"version": version, "arm_version": version}
    moments = [after + place * step for place in range(count)]
    rows = list(enumerate(zip(predictions.scores.tolist(), moments, strict=True), version * 10_000))
    answers = [answer(number, score, moment, **facts) for number, (score, moment) in rows]
    said = zip(rows, holdout.y.tolist(), strict=True)
    labels = [feedback(number, label, moment + step / 2) for (number, (_, moment)), label in said]
    log_records(home, *answers, *labels)


def test_a_paused_deployment_is_not_looked_after(
    deployed: dict[str, Any], registry: Registry, control: Control
) -> None:
    for item in deployed.values():
        ask(lambda client, one=item: client.pause_deployment(one.id))
    registry.store.set_alias(SERVICE, "champion", 3)
    look(Housekeeper(LOG))
    route = control.routes.find(SERVICE)
    assert route is not None
    assert route.champion == 1


def test_without_deployments_or_server_nothing_happens(
    api: str, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    look(Housekeeper(LOG))
    assert not caplog.records
    away = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(away):
        look(Housekeeper(LOG))
    assert [record.levelname for record in caplog.records if record.name == LOG.name] == [
        "WARNING"
    ] * 2

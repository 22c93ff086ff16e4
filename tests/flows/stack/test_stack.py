"""The whole Prefect stack as a team runs it: server, pool, deployments, schedule, worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.tables.delta import list_versions
from sluice.config.loading import list_services
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT, SAMPLES, Home
from support.releases.runs import session_root
from support.servers.stack import (
    FILE,
    POOL,
    ask,
    await_answer,
    await_final,
    create_run,
    deploy,
    find_deployments,
    remove_all,
    run_worker,
)

pytestmark = pytest.mark.slow

EXPECTED = {
    "release/release",
    "ingest/ingest",
    "approve/approve",
    "promote/promote",
    "notice/notice",
    "watch/watch",
    "detect-drift/detect-drift",
    "check_prompts/check-prompts",
}
SCHEDULE_SECONDS = 30.0


@pytest.fixture(scope="module")
def server_log(api: str) -> Path:
    return Home(session_root()).logs / "prefect-server.log"


def find_faults(log: str) -> list[str]:
    """Return the server's tracebacks."""
    _, *found = log.split("Traceback (most recent call last)")
    return found


@pytest.fixture(scope="module")
def deployed(server_log: Path) -> Iterator[dict[str, Any]]:
    """The deployments of `deployments.yaml`, deployed twice; removed from the server at the end."""
    log_size = server_log.stat().st_size
    before = set(PROJECT.iterdir())
    try:
        reported = deploy()
        assert reported[0] == f"created the work pool '{POOL}'"
        assert deploy() == reported[1:]
        assert set(PROJECT.iterdir()) == before
        yield find_deployments()
    finally:
        remove_all()
    assert not find_faults(server_log.read_text(encoding="utf-8")[log_size:])


def triggers_of(deployment: Any) -> list[Any]:
    resource = f"prefect.deployment.{deployment.id}"
    return list(ask(lambda client: client.read_resource_related_automations(resource)))


def test_deploying_twice_leaves_everything_once(deployed: dict[str, Any]) -> None:
    assert set(deployed) >= EXPECTED
    assert len(ask(lambda client: client.read_deployments())) == len(deployed)
    release = deployed["release/release"]
    assert [item.slug for item in release.schedules] == ["weekly"]
    assert [item.name for item in triggers_of(release)] == ["release on data.changed"]
    automations = [item.name for item in ask(lambda client: client.read_automations())]
    assert len(automations) == len(set(automations))


def test_pool_lets_a_run_outlive_its_worker(deployed: dict[str, Any]) -> None:
    pool = ask(lambda client: client.read_work_pool(POOL))
    assert pool.type == "process"
    assert pool.base_job_template["job_configuration"]["stream_output"] is False


def test_deployments_ask_for_what_the_flows_take(deployed: dict[str, Any]) -> None:
    assert {item.work_pool_name for item in deployed.values()} == {POOL}
    assert all("sluice" in item.tags and item.description for item in deployed.values())
    for item in deployed.values():
        properties = item.parameter_openapi_schema["properties"]
        assert all(value["description"] for value in properties.values())
    limits = {name: item.global_concurrency_limit for name, item in deployed.items()}
    assert limits["release/release"].limit == 4
    assert limits["ingest/ingest"].limit == 1


def test_descriptions_link_to_the_artifacts_of_each_service(deployed: dict[str, Any]) -> None:
    for name in ("release", "approve", "rollout", "rollback", "ingest"):
        text = deployed[f"{name}/{name}"].description
        for service in list_services():
            assert f"- {service}: [" in text
            assert f"](/artifacts?name={service}-" in text
    release = deployed["release/release"].description
    assert release.startswith("Take a service's data through every gate to a registered model.\n")
    assert "[releases](/artifacts?name=employment-history)" in release
    assert "(/artifacts?name=rollouts)" in deployed["keeper/keeper"].description
    assert "(/artifacts?name=failed-triggers)" in deployed["notice/notice"].description
    assert release.count("Artifacts:") == 1


def test_form_of_a_release_offers_services_and_limits(deployed: dict[str, Any]) -> None:
    schema = deployed["release/release"].parameter_openapi_schema
    assert schema["required"] == ["service"]
    assert "employment" in schema["properties"]["service"]["enum"]
    assert schema["properties"]["data_version"]["minimum"] == -1
    overrides = schema["definitions"]["Overrides"]["properties"]
    assert overrides["mitigation"]["enum"] == ["as-configured", "none", "reweigh"]
    assert all(value["description"] for value in overrides.values())


def test_schedule_produces_runs(deployed: dict[str, Any]) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
    from prefect.client.schemas.objects import StateType

    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployed["release/release"].id]))

    def find_runs() -> list[Any]:
        return list(ask(lambda client: client.read_flow_runs(deployment_filter=one)))

    runs = await_answer(find_runs, SCHEDULE_SECONDS)
    assert runs
    assert {run.state.type for run in runs} == {StateType.SCHEDULED}
    moments = [run.expected_start_time for run in runs]
    assert {(moment.weekday(), moment.hour, moment.minute) for moment in moments} == {(0, 3, 0)}


def test_worker_takes_a_file_in(deployed: dict[str, Any], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    file = SAMPLES / "acs_employment_2015.parquet"
    run = create_run(deployed["ingest/ingest"], service="employment", source=str(file))
    log = tmp_path / "worker.log"
    with run_worker(log, SLUICE_HOME=str(home.root)):
        state = await_final(run)
    written = log.read_text(encoding="utf-8", errors="replace")
    assert state is not None, written
    assert state.is_completed(), f"{state.message}\n{written}"
    assert "Traceback" not in written
    versions = list_versions(home.table("employment"), "employment")
    assert [(item.version, item.rows) for item in versions] == [(0, 12_000)]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"service": "unemployment"}, "'unemployment' is not one of"),
        ({"data_version": "latest"}, "'latest' is not of type 'integer'"),
        ({"data_version": -2}, "-2 is less than the minimum of -1"),
        ({"overrides": {"seed": -2}}, "-2 is less than the minimum of -1"),
        ({"overrides": {"mitigation": "guess"}}, "'guess' is not one of"),
        ({"versoin": 3}, "Additional properties are not allowed ('versoin' was unexpected)"),
    ],
)
def test_wrong_parameter_is_refused_when_the_run_is_asked_for(
    deployed: dict[str, Any], parameters: dict[str, Any], said: str
) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    given = {"service": "employment", **parameters}
    with pytest.raises(PrefectHTTPStatusError, match="409") as refused:
        ask(
            lambda client: client.create_flow_run_from_deployment(
                deployed["release/release"].id, parameters=given
            )
        )
    assert said in refused.value.response.json()["detail"]


def test_wrong_file_changes_nothing_on_the_server(deployed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    text = FILE.read_text(encoding="utf-8").replace("limit: 4", "limit: 3")
    file.write_text(text.replace("flows.notice.notice", "flows.notice.nothing"), encoding="utf-8")
    with pytest.raises(ConfigInvalid, match="there is no flow at"):
        deploy(file)
    assert find_deployments()["release/release"].global_concurrency_limit.limit == 4


@dataclass(frozen=True)
class Redeployed:
    """Output of deploying a file whose names had changed, and then the shipped one."""

    other: list[str]
    shipped: list[str]


@pytest.fixture(scope="module")
def redeployed(deployed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Redeployed:
    """Another file and the shipped one deployed again, after a person changed the server."""
    from prefect.client.schemas.actions import WorkPoolUpdate
    from prefect.workers.process import ProcessWorker

    release = find_deployments()["release/release"]
    trigger, schedule = triggers_of(release)[0], release.schedules[0]
    ask(lambda client: client.pause_automation(trigger.id))
    ask(lambda client: client.update_deployment_schedule(release.id, schedule.id, active=False))
    changed = WorkPoolUpdate(base_job_template=ProcessWorker.get_default_base_job_template())
    ask(lambda client: client.update_work_pool(POOL, changed))
    file = tmp_path_factory.mktemp("other") / "deployments.yaml"
    text = FILE.read_text(encoding="utf-8").replace("notice on a failed", "former on a failed")
    text = text.replace("- name: promote", "- name: former").replace(
        "- name: notice", "- name: old"
    )
    file.write_text(text, encoding="utf-8")
    return Redeployed(deploy(file), deploy(prune=True))


def test_what_left_the_file_is_named(redeployed: Redeployed) -> None:
    left = "promote/promote is on the server and left the file; next: `sluice deploy --prune`"
    assert left in redeployed.other


def test_what_left_the_file_is_removed_when_asked(
    deployed: dict[str, Any], redeployed: Redeployed
) -> None:
    assert "removed promote/former, which left the file" in redeployed.shipped
    assert set(find_deployments()) == set(deployed)
    names = {item.name for item in ask(lambda client: client.read_automations())}
    assert "notice on a failed trigger" in names
    assert "former on a failed trigger" not in names


def test_what_was_switched_off_by_hand_is_named(redeployed: Redeployed) -> None:
    trigger = "release/release: trigger 'release on data.changed' was switched off and is on again"
    schedule = "release/release: schedule 'weekly' is switched off and stays so"
    assert [line.partition(";")[0] for line in redeployed.other if "switched" in line] == [
        trigger,
        schedule,
    ]


def test_a_local_stack_has_the_schedules_of_quiet_flows_off(
    redeployed: Redeployed, deployed: dict[str, Any]
) -> None:
    assert [item.active for item in deployed["watch/watch"].schedules] == [True]
    said = "the schedules of keeper/keeper and monitor/monitor and watch/watch are off"
    try:
        assert [line for line in deploy(quiet=True) if line.startswith(said)]
        now = find_deployments()
        off = {name for name, item in now.items() for one in item.schedules if not one.active}
        by_hand = "release/release"
        assert off == {"keeper/keeper", "monitor/monitor", "watch/watch", by_hand}
        elsewhere = [line for line in deploy() if "every-2-minutes" in line]
        assert elsewhere[0].startswith("keeper/keeper: schedule 'every-2-minutes' is switched off")
    finally:
        switch_on(find_deployments())


def switch_on(deployments: dict[str, Any]) -> None:
    for item in (deployments[f"{name}/{name}"] for name in ("watch", "keeper", "monitor")):
        [one] = item.schedules
        ask(
            lambda client, item=item, one=one: client.update_deployment_schedule(
                item.id, one.id, active=True
            )
        )


def test_pool_that_ends_runs_with_their_worker_is_named(redeployed: Redeployed) -> None:
    assert "has stream_output on: flow runs die with their worker" in redeployed.other[1]


def test_pool_of_an_older_version_loses_its_variables(redeployed: Redeployed) -> None:
    said = f"the work pool '{POOL}' let its runs set name, env, labels, command, stream_output"
    assert redeployed.other[0].startswith(said)
    assert not [line for line in redeployed.shipped if "let its runs set" in line]
    template = ask(lambda client: client.read_work_pool(POOL)).base_job_template
    assert template["variables"]["properties"] == {}
    assert template["job_configuration"]["command"] is None


@pytest.mark.parametrize("name", ["command", "env", "working_dir", "labels", "other"])
def test_no_run_sets_a_variable_of_its_job(deployed: dict[str, Any], name: str) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    value = {"SLUICE_HOME": "/"} if name in ("env", "labels") else "touch /tmp/taken"
    with pytest.raises(PrefectHTTPStatusError, match="422") as refused:
        ask(
            lambda client: client.create_flow_run_from_deployment(
                deployed["ingest/ingest"].id,
                parameters={"service": "employment"},
                job_variables={name: value},
            )
        )
    assert f"'{name}' was unexpected" in refused.value.response.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"by": ""}, "by"), ({"reason": "  "}, "reason"), ({"decision": "maybe"}, "decision")],
)
def test_decision_without_name_reason_or_answer_is_refused_by_the_form(
    deployed: dict[str, Any], changes: dict[str, str], field: str
) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    item = deployed["approve/approve"]
    assert {"service", "decision", "by", "reason"} == set(item.parameter_openapi_schema["required"])
    given = {"service": "employment", "decision": "approve", "by": "Ada", "reason": "so"}
    with pytest.raises(PrefectHTTPStatusError) as refused:
        ask(
            lambda client: client.create_flow_run_from_deployment(
                item.id, parameters={**given, **changes}
            )
        )
    assert refused.value.response.status_code == 409
    assert f"'{field}'" in refused.value.response.json()["detail"]

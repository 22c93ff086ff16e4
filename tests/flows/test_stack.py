"""The whole Prefect stack as a team runs it: server, pool, deployments, schedule, worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.tables.delta import list_versions
from sluice.home import PROJECT, SAMPLES, Home
from stack_support import (
    POOL,
    ask,
    await_answer,
    await_final,
    create_run,
    deploy_all,
    find_deployments,
    run_prefect,
    run_worker,
)
from support import session_root

pytestmark = pytest.mark.slow

EXPECTED = {"release/release", "ingest/ingest", "approve/approve", "promote/promote"}
SCHEDULE_SECONDS = 30.0


@pytest.fixture(scope="module")
def server_log(api: str) -> Path:
    return Home(session_root()).logs / "prefect-server.log"


@pytest.fixture(scope="module")
def deployed(server_log: Path) -> Iterator[dict[str, Any]]:
    """The deployments of `deployments.yaml`, deployed twice; gone from the server at the end."""
    log_size = server_log.stat().st_size
    made = run_prefect("work-pool", "create", POOL, "--type", "process")
    assert made.returncode == 0, made.stdout + made.stderr
    before = set(PROJECT.iterdir())
    try:
        for _ in range(2):
            ended = deploy_all()
            assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(PROJECT.iterdir()) == before
        yield find_deployments()
    finally:
        for item in find_deployments().values():
            ask(lambda client, item=item: client.delete_deployment(item.id))
        ask(lambda client: client.delete_work_pool(POOL))
    assert "Traceback" not in server_log.read_text(encoding="utf-8")[log_size:]


def test_deploying_twice_leaves_everything_once(deployed: dict[str, Any]) -> None:
    assert set(deployed) == EXPECTED
    assert len(ask(lambda client: client.read_deployments())) == len(EXPECTED)
    schedules = {name: [item.slug for item in found.schedules] for name, found in deployed.items()}
    assert schedules == {name: ["weekly"] * (name == "release/release") for name in EXPECTED}


def test_deployments_ask_for_what_the_flows_take(deployed: dict[str, Any]) -> None:
    assert {item.work_pool_name for item in deployed.values()} == {POOL}
    assert deployed["release/release"].parameters == {"service": "employment", "cause": "weekly"}
    for item in deployed.values():
        properties = item.parameter_openapi_schema["properties"]
        assert all(value["description"] for value in properties.values())
    limits = {name: item.global_concurrency_limit for name, item in deployed.items()}
    assert limits["release/release"].limit == 1
    assert limits["ingest/ingest"].limit == 1


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
    run = create_run(deployed["ingest/ingest"], home, service="employment", file=str(file))
    log = tmp_path / "worker.log"
    with run_worker(log):
        state = await_final(run)
    written = log.read_text(encoding="utf-8", errors="replace")
    assert state is not None, written
    assert state.is_completed(), f"{state.message}\n{written}"
    assert "Traceback" not in written
    versions = list_versions(home.table("employment"), "employment")
    assert [(item.version, item.rows) for item in versions] == [(0, 12_000)]


def test_wrong_parameter_is_refused_when_the_run_is_asked_for(deployed: dict[str, Any]) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    with pytest.raises(PrefectHTTPStatusError, match="409"):
        ask(
            lambda client: client.create_flow_run_from_deployment(
                deployed["release/release"].id, parameters={"data_version": "latest"}
            )
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"by": ""}, "by"), ({"why": "  "}, "why"), ({"decision": "maybe"}, "decision")],
)
def test_decision_without_name_reason_or_answer_is_refused_by_the_form(
    deployed: dict[str, Any], changes: dict[str, str], field: str
) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    item = deployed["approve/approve"]
    assert {"service", "decision", "by", "why"} == set(item.parameter_openapi_schema["required"])
    given = {"service": "employment", "decision": "approve", "by": "Ada", "why": "so"}
    with pytest.raises(PrefectHTTPStatusError) as refused:
        ask(
            lambda client: client.create_flow_run_from_deployment(
                item.id, parameters={**given, **changes}
            )
        )
    assert refused.value.response.status_code == 409
    assert f"'{field}'" in refused.value.response.json()["detail"]

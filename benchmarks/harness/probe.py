"""A flow that does nothing: what its runs cost is what a run costs."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule

from sluice.adapters.server.api import POOL

ENTRYPOINT = f"{__name__}.probe"
SUBMITTED, SCHEDULED = "submitted", "scheduled"
SUBMITTED_NAME = f"probe/{SUBMITTED}"
PAGE, POLL_SECONDS = 200, 1.0


@flow(name="probe", persist_result=False, result_serializer="json")
def probe(number: int = -1) -> int:
    """Return the number of the submission."""
    return number


def deploy_probes(every: float) -> dict[str, UUID]:
    """Deploy the probe twice; return the ids: for submissions, and on a schedule.

    Submitted runs wait in a queue that is paused, so that a thousand of them cost no processor
    time. Scheduled ones, one each `every` seconds, are run by the pool's worker.
    """
    schedule = IntervalSchedule(interval=timedelta(seconds=every))
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name(probe.name)
        fixed: dict[str, Any] = {
            "flow_id": flow_id,
            "entrypoint": ENTRYPOINT,
            "work_pool_name": POOL,
            "pull_steps": [],
            "parameter_openapi_schema": {
                "type": "object",
                "properties": {"number": {"type": "integer", "default": -1}},
            },
        }
        client.create_work_queue(SUBMITTED, work_pool_name=POOL, is_paused=True)
        submitted = client.create_deployment(name=SUBMITTED, work_queue_name=SUBMITTED, **fixed)
        made = [DeploymentScheduleCreate(schedule=schedule, active=True)]
        scheduled = client.create_deployment(name=SCHEDULED, schedules=made, **fixed)
    return {SUBMITTED: submitted, SCHEDULED: scheduled}


def read_runs(deployment: UUID | None = None) -> list[FlowRun]:
    """Return the flow runs of a deployment, or of the whole server, with their states."""
    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployment])) if deployment else None
    found: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        while page := client.read_flow_runs(deployment_filter=one, limit=PAGE, offset=len(found)):
            found += page
    return found


def await_due(deployment: UUID, began: datetime, ended: datetime, seconds: float) -> list[FlowRun]:
    """Return a deployment's runs that were due between two moments, once all have ended.

    After `seconds` they are returned as they are.
    """
    deadline = time.monotonic() + seconds
    while True:
        due = [run for run in read_runs(deployment) if began <= _read_due(run) <= ended]
        if all(run.state and run.state.is_final() for run in due) or time.monotonic() > deadline:
            return due
        time.sleep(POLL_SECONDS)


def count_states() -> Counter[str]:
    """Count the server's runs by deployment and state, without those still to come."""
    with get_client(sync_client=True) as client:
        names = {item.id: item.name for item in client.read_deployments()}
    return Counter(
        f"{names.get(run.deployment_id, 'no deployment')}: {run.state_name}"
        for run in read_runs()
        if run.state_name != "Scheduled"
    )


def _read_due(run: FlowRun) -> datetime:
    return run.expected_start_time or datetime.max.replace(tzinfo=UTC)

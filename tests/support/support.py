"""What several test files ask of a run that ended."""

import os
from pathlib import Path
from typing import Any

from sluice.home import SAMPLES


def session_root() -> Path:
    """The folder of the session's Prefect server."""
    return Path(os.environ["PREFECT_HOME"]).parent


def ingest_year(year: int) -> Any:
    """Ingest one survey year and give the flow's final state."""
    from flows.ingest import ingest

    file = SAMPLES / f"acs_employment_{year}.parquet"
    return ingest("employment", str(file), return_state=True)


def artifacts_of(state: Any) -> dict[str, Any]:
    """Give a flow run's artifacts by key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    run = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        found = client.read_artifacts(artifact_filter=wanted)
    return {item.key: item for item in found if item.key}


def task_runs_of(state: Any) -> list[Any]:
    """Give a flow run's task runs, in the order in which they started."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    run = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))
    return sorted(found, key=lambda item: str(item.start_time))


def gate_runs_of(state: Any) -> dict[str, Any]:
    """Give the task runs that are gates, by gate."""
    runs = {item.name: item for item in task_runs_of(state)}
    return {name.removesuffix(" gate"): run for name, run in runs.items() if name.endswith(" gate")}


def latest_run(flow: str) -> Any:
    """Give the flow run that started last."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        wanted = FlowFilter(name=FlowFilterName(any_=[flow]))
        found = client.read_flow_runs(flow_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=1)
    return found[0]

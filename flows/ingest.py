"""Take a file into a service's data, through the data gate."""

from pathlib import Path
from typing import Any

from prefect import flow

from sluice.config.loading import load_service
from tasks.form import ServiceName
from tasks.gating import pass_gate
from tasks.ingestion import append_rows, weigh_batch
from tasks.naming import name_ingest
from tasks.outcome import state_failure
from tasks.settings import environment_name


@flow(
    name="ingest",
    flow_run_name=name_ingest,
    persist_result=False,
    result_serializer="json",
    validate_parameters=True,
)
@state_failure
def ingest(service: ServiceName, file: str) -> dict[str, Any]:
    """Append a file as a new version of the service's data, or quarantine it whole.

    Args:
        service: The service whose data it is; one file in configs/ each.
        file: Path of a Parquet or CSV file.
    """
    config = load_service(service, environment_name())
    path = Path(file).resolve()
    batch = weigh_batch(config, path)
    if batch.held_by:
        return {"version": batch.held_by.version, "rows": batch.held_by.rows, "written": False}
    if batch.verdict:
        pass_gate(batch.verdict, service, "")
    data = append_rows(config, path)
    return {"version": data.version, "rows": data.rows, "written": True}

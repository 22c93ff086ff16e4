"""Take a file, a Delta table or a query's rows into a service's data, through the data gate."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.data.arrival import Delivery
from tasks.data.ingestion import append_rows, find_deliveries, open_scratch, validate_batch
from tasks.run.forms import ServiceName
from tasks.run.gates import pass_gate
from tasks.run.names import name_ingest
from tasks.run.state import end_skipped, state_failure
from tasks.run.tags import environment_name


@flow(
    name="ingest",
    flow_run_name=name_ingest,
    persist_result=False,
    result_serializer="json",
    validate_parameters=True,
)
@state_failure
def ingest(service: ServiceName, source: str = "") -> dict[str, Any] | State[Any]:
    """Append new rows as a version of the service's data, or quarantine them whole.

    Args:
        service: The service whose data it is; one file in configs/ each.
        source: Path of a Parquet or CSV file, or folder or URL of a Delta table; empty takes what
            is new in the source of the service's configuration.
    """
    config = load_service(service, environment_name())
    deliveries = find_deliveries(config, source)
    if not deliveries:
        return end_skipped(f"nothing new in the source of {service}")
    with open_scratch() as folder:
        return [take_in(config, delivery, folder) for delivery in deliveries][-1]


def take_in(config: ServiceConfig, delivery: Delivery, folder: Path) -> dict[str, Any]:
    """Take one delivery through the gate and give the version that holds it.

    Raises:
        GateFailed: the rows break a rule; they are in quarantine.
        Refused: it cannot be read as the service's data.
        Fault: something outside cannot be reached.
    """
    batch = validate_batch(config, delivery, folder)
    if batch.held_by:
        return {"version": batch.held_by.version, "rows": batch.held_by.rows, "written": False}
    if batch.verdict:
        pass_gate(batch.verdict, config.service, "")
    data = append_rows(config, batch)
    return {"version": data.version, "rows": data.rows, "written": True}

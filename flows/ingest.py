"""Append a file, a Delta table or a query's rows to a service's data, through the data gate."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import Delivery
from sluice.home import environment_name
from tasks.data.ingestion import (
    IngestOutcome,
    append_rows,
    find_deliveries,
    open_scratch,
    validate_batch,
)
from tasks.run.forms import ServiceName
from tasks.run.gates import pass_gate
from tasks.run.names import name_ingest
from tasks.run.state import end_skipped, state_failure


@flow(
    name="ingest",
    flow_run_name=name_ingest,
    persist_result=False,
    result_serializer="json",
    validate_parameters=True,
)
@state_failure
def ingest(
    service: ServiceName, source: str = "", announce: bool = True
) -> dict[str, Any] | State[Any]:
    """Append new rows as a version of the service's data, or quarantine them whole.

    Each new delivery of a source is ingested, also behind one that was refused; the run then fails
    with the first refusal.

    Args:
        service: The service whose data it is; each is one file in configs/.
        source: Path of a Parquet or CSV file, or folder or URL of a Delta table; if empty, what is
            new in the source of the service's configuration.
        announce: Whether the event `data.changed` tells of a new version, and so starts a release;
            off where the caller releases the data.
    """
    config = load_service(service, environment_name())
    deliveries = find_deliveries(config, source)
    if not deliveries:
        return end_skipped(f"nothing new in the source of {service}")
    outcome = IngestOutcome()
    with open_scratch() as folder:
        for delivery in deliveries:
            with outcome.isolate_refusal():
                outcome.result = ingest_delivery(config, delivery, folder, announce)
    return outcome.end()


def ingest_delivery(
    config: ServiceConfig, delivery: Delivery, folder: Path, announce: bool
) -> dict[str, Any]:
    """Pass one delivery through the gate and return the version that holds it.

    Raises:
        GateFailed: the rows break a rule; they are in quarantine.
        Refused: it cannot be read as the service's data.
        Fault: something outside cannot be reached.
    """
    batch = validate_batch(config, delivery, folder)
    if batch.existing:
        return {"version": batch.existing.version, "rows": batch.existing.rows, "written": False}
    if batch.verdict:
        pass_gate(batch.verdict, config.service, "")
    data = append_rows(config, batch, announce)
    return {"version": data.version, "rows": data.rows, "written": True}

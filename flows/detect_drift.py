"""Compare live traffic, or a file, with what a version was trained on."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.data.watching import choose_services
from tasks.drift.detection import AS_CONFIGURED, DriftRun, make_request
from tasks.run.forms import ALL, ReferenceChoice, ServiceOrAll
from tasks.run.names import name_drift
from tasks.run.state import state_failure


@flow(
    name="detect-drift",
    flow_run_name=name_drift,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def detect_drift(
    service: ServiceOrAll = ALL,
    window: str = "",
    reference: ReferenceChoice = AS_CONFIGURED,
    file: str = "",
) -> State[Any]:
    """Judge each window of traffic that nobody has judged yet; Failed while an alarm is open.

    With a window, a reference or a file only that is compared, and nothing is recorded.

    Args:
        service: The service, or all.
        window: Empty for the schedule's; else a length such as `6 h`, or START..END.
        reference: What it is compared with.
        file: A Parquet file, a folder of them or a Delta table that the worker can read.
    """
    run = DriftRun(service, make_request(window, reference, file))
    for name in choose_services(service):
        with run.isolate_errors(name):
            run.detect(load_service(name, environment_name()))
    return run.end()

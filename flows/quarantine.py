"""Decide about a batch that the data gate refused."""

from typing import Any, Literal

from prefect import flow

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.data.decisions import decide_batch
from tasks.run.forms import ServiceName, Words
from tasks.run.names import name_command
from tasks.run.state import state_failure


@flow(
    name="quarantine",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def quarantine(
    service: ServiceName,
    *,
    batch: Words,
    answer: Literal["accept", "accept-good-rows", "drop"],
    reason: Words,
    by: Words,
) -> dict[str, Any]:
    """Append a refused batch to the service's data, or decide that it stays out.

    Accepted rows no longer break the rules that refused them.

    Args:
        service: The service whose batch it is.
        batch: Beginning of the batch's name, as the refused run's message has it.
        answer: Append all rows, append those that broke no rule on single rows, or none.
        reason: Your reason, in a sentence; it is recorded.
        by: Your name; it is recorded.
    """
    effect = decide_batch(load_service(service, environment_name()), batch, answer, reason, by)
    return {"rows": effect.rows, "version": effect.version, "message": effect.message}

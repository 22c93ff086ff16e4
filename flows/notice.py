"""Stand red in the run history for a trigger that could not act."""

from prefect import flow

from tasks.deploy.failed_triggers import publish_failure, raise_failure
from tasks.run.state import state_failure


@flow(
    name="notice",
    flow_run_name="trigger failed: {automation}",
    persist_result=False,
    result_serializer="json",
)
@state_failure
def notice(automation: str, reason: str, detail: str = "", event: str = "") -> None:
    """Publish what failed under the artifact key `failed-triggers`, and end as Failed.

    Prefect tells of such a trigger by an event alone; this run is what people see. It is started
    by that event, never by hand.

    Args:
        automation: Name of the trigger or automation that could not act.
        reason: Why, in the server's words.
        detail: What the server found wrong with the parameters, if that was it.
        event: Identity of the event that told of the failure.
    """
    publish_failure(automation, reason, detail, event)
    raise_failure(automation, reason, detail)

"""Show a failed trigger as a failed run in the run history."""

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
    """Publish the failure under the artifact key `failed-triggers`, and end as Failed.

    Prefect reports such a trigger only by an event; this run makes it visible. That event starts
    it, never a person.

    Args:
        automation: Name of the trigger or automation that failed.
        reason: The reason, in the server's words.
        detail: What was wrong with the parameters, if they were the reason.
        event: Id of the event that reported the failure.
    """
    publish_failure(automation, reason, detail, event)
    raise_failure(automation, reason, detail)

"""Go back to the version that served before."""

from prefect import flow

from sluice.config.loading import load_service
from sluice.rollout.state import Action
from tasks.release.history import publish_history
from tasks.rollout.commands import (
    ROLLBACK,
    CommandResult,
    command_rollout,
    find_previous,
    is_rolling,
    serve_version,
)
from tasks.run.forms import ServiceName, Words
from tasks.run.leases import PROMOTE_SECONDS, hold_release
from tasks.run.names import name_command
from tasks.run.state import state_failure
from tasks.run.tags import environment_name


@flow(
    name="rollback",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollback(service: ServiceName, *, reason: Words, by: Words) -> CommandResult:
    """Take the candidate off where a rollout is under way, else serve the previous version again.

    Args:
        service: The service that goes back.
        reason: Your reason, in a sentence; it stays on record.
        by: Your name, as it stays on record.
    """
    load_service(service, environment_name())
    if is_rolling(service):
        return command_rollout(service, Action.ROLL_BACK.value, reason, by)
    with hold_release(service, PROMOTE_SECONDS):
        done = serve_version(service, find_previous(service), ROLLBACK, reason, by)
        publish_history(service)
        return done

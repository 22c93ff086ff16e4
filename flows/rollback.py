"""Return to the version that served before."""

from prefect import flow

from sluice.config.loading import load_service
from sluice.home import environment_name
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


@flow(
    name="rollback",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollback(service: ServiceName, *, reason: Words, by: Words) -> CommandResult:
    """Roll back the rollout that is under way; without one, serve the previous version again.

    Args:
        service: The service to roll back.
        reason: Your reason, in a sentence; it is recorded.
        by: Your name; it is recorded.
    """
    load_service(service, environment_name())
    if is_rolling(service):
        return command_rollout(service, Action.ROLL_BACK.value, reason, by)
    with hold_release(service, PROMOTE_SECONDS):
        done = serve_version(service, find_previous(service), ROLLBACK, reason, by)
        publish_history(service)
        return done

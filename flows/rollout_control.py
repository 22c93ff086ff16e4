"""Steer a rollout that is under way."""

from prefect import flow

from sluice.config.loading import load_service
from tasks.rollout.commands import CommandResult, command_rollout
from tasks.run.forms import ActionName, ServiceName, Words
from tasks.run.names import name_command
from tasks.run.state import state_failure
from tasks.run.tags import environment_name


@flow(
    name="rollout-control",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollout_control(
    service: ServiceName, *, action: ActionName, reason: Words, by: Words
) -> CommandResult:
    """Pause, resume, abort, skip a stage, promote now, roll back, or approve a stage.

    The rollout goes on testing while it is paused, and can still roll back. What makes no sense
    where the rollout is, is refused, and the refusal says where it would.

    Args:
        service: The service whose rollout is meant.
        action: What the rollout is to do.
        reason: Your reason, in a sentence; it stays in the decision log.
        by: Your name, as it stays in the decision log.
    """
    load_service(service, environment_name())
    return command_rollout(service, action, reason, by)

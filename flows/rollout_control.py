"""Control a rollout that is under way."""

from prefect import flow

from tasks.rollout.actions import CommandResult
from tasks.rollout.commands import command_rollout
from tasks.rollout.settings import load_rollout
from tasks.run.forms import ActionName, RolledName, Words
from tasks.run.names import name_command
from tasks.run.state import state_failure


@flow(
    name="rollout-control",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollout_control(
    service: RolledName, *, action: ActionName, reason: Words, by: Words
) -> CommandResult:
    """Pause, resume, abort, skip a stage, promote now, roll back, or approve a stage.

    A paused rollout is still tested, and can still be rolled back. A command that the present phase
    does not allow is refused; the refusal names the phases that allow it.

    Args:
        service: The service whose rollout to control.
        action: The command.
        reason: Your reason, in a sentence; it is kept in the decision log.
        by: Your name; it is kept in the decision log.
    """
    load_rollout(service)
    return command_rollout(service, action, reason, by)

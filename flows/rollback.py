"""Return to the version that served before."""

from prefect import flow

from tasks.release.history import publish_history
from tasks.rollout.actions import CommandResult
from tasks.rollout.commands import follow_champion, roll_back
from tasks.rollout.settings import load_rollout
from tasks.run.forms import RolledName, Words
from tasks.run.names import name_command
from tasks.run.state import state_failure


@flow(
    name="rollback",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def rollback(service: RolledName, *, reason: Words, by: Words) -> CommandResult:
    """Roll back the rollout that is under way; without one, serve the previous version again.

    It waits for nothing: the route moves first, the registry's aliases follow. Without Prefect,
    `sluice rollback` does the same.

    Args:
        service: The service to roll back.
        reason: Your reason, in a sentence; it is recorded.
        by: Your name; it is recorded.
    """
    load_rollout(service)
    done = roll_back(service, reason, by)
    follow_champion(service)
    publish_history(service)
    return done

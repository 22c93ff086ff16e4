"""Make an earlier version champion again."""

from prefect import flow

from tasks.release.history import publish_history
from tasks.rollout.actions import CommandResult
from tasks.rollout.commands import follow_champion, restore_version
from tasks.rollout.settings import load_rollout
from tasks.run.forms import ModelVersion, RolledName, Words
from tasks.run.names import name_command
from tasks.run.state import state_failure


@flow(
    name="restore",
    flow_run_name=name_command,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def restore(
    service: RolledName,
    *,
    version: ModelVersion,
    reason: Words,
    by: Words,
    force: bool = False,
) -> CommandResult:
    """Make an earlier version champion at once, without a test on live traffic.

    It is refused while a rollout is under way. A version that did not pass its gates is refused
    too, unless `force` makes an exception for it.

    Args:
        service: The service whose champion changes.
        version: The version to serve; the page SERVICE-history lists all versions.
        reason: Your reason, in a sentence; it is recorded.
        by: Your name; it is recorded.
        force: Serve a version that did not pass its gates; the exception is recorded for good.
    """
    load_rollout(service)
    done = restore_version(service, version, reason, by, force)
    follow_champion(service)
    publish_history(service)
    return done

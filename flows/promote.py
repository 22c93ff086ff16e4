"""Make a service's candidate its champion."""

from prefect import flow

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.release.approval import confirm_approval
from tasks.release.history import publish_history
from tasks.release.registration import Registered, promote_candidate
from tasks.rollout.commands import confirm_no_rollout
from tasks.run.forms import ServiceName
from tasks.run.leases import PROMOTE_SECONDS, hold_release
from tasks.run.names import name_promote
from tasks.run.state import state_failure


@flow(
    name="promote",
    flow_run_name=name_promote,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def promote(service: ServiceName, by: str = "", reason: str = "") -> Registered:
    """Move the champion alias to the candidate that passed every gate, without a rollout.

    A version that waits for a person's approval, or did not get it, is refused. A promotion never
    runs at the same time as a release of the service: it waits for at most a minute. While a
    rollout is under way it is refused; `rollout-control` can promote then.

    Args:
        service: The service whose candidate is promoted.
        by: Your name; it is recorded.
        reason: Your reason, in a sentence; it is recorded.
    """
    load_service(service, environment_name())
    confirm_no_rollout(service)
    with hold_release(service, PROMOTE_SECONDS):
        confirm_approval(service)
        promoted = promote_candidate(service, by, reason)
        publish_history(service)
        return promoted

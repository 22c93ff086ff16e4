"""Record a person's decision on a version that waits for approval."""

from typing import Literal

from prefect import flow

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.release.approval import (
    WAITING,
    ApprovalResult,
    decide_approval,
    request_approved_rollout,
)
from tasks.release.history import publish_history
from tasks.run.forms import ServiceName, Words
from tasks.run.names import name_decision
from tasks.run.state import state_failure

ANSWERS = {"approve": "approved", "refuse": "refused"}


@flow(
    name="approve",
    flow_run_name=name_decision,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def approve(
    service: ServiceName,
    *,
    version: int = WAITING,
    decision: Literal["approve", "refuse"],
    by: Words,
    reason: Words,
) -> ApprovalResult:
    """Approve or refuse the version that waits; name, reason and time are recorded.

    An approved version becomes champion if the service has none, else `promote` makes it so.

    Args:
        service: The service whose version waits.
        version: The version as its approval page names it; -1 takes the one that waits.
        decision: Approve or refuse. The decision is final.
        by: Your name; it is kept in the log of decisions.
        reason: Your reason, in a sentence; it is shown beside the decision.
    """
    config = load_service(service, environment_name())
    decided = decide_approval(service, version, ANSWERS[decision], by, reason)
    publish_history(service)
    request_approved_rollout(config, decided)
    return decided

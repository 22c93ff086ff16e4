"""Keep rollouts running, keep aliases and routes consistent, and show what is live."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.rollout.keeper import Keeper
from tasks.run.forms import ALL, ServiceOrAll
from tasks.run.state import state_failure


@flow(
    name="keeper",
    flow_run_name="{service}",
    persist_result=False,
    result_serializer="json",
)
@state_failure
def keeper(service: ServiceOrAll = ALL) -> State[Any]:
    """Continue rollouts without a controller, adopt aliases moved by hand, show what is live.

    Whether a controller is gone is decided by its lease, not by the state of its run. The artifact
    `rollouts` has a row per service. An error of one service does not stop the others. It also
    raises the alert that the monitor does not run.

    Args:
        service: The service to keep, or all, with the prompts.
    """
    kept = Keeper()
    kept.keep_all(service)
    return kept.end()

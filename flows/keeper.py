"""Keep rollouts going, aliases and routes at one, and say what is live."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.data.watching import choose_services
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
    """Continue rollouts whose controller is gone, adopt what was moved by hand, show what is live.

    The lease says whether a controller is gone, never the state of its run. The artifact `rollouts`
    has a row for each service. A service that cannot be looked after does not keep the others.

    Args:
        service: The service to look after, or all.
    """
    kept = Keeper()
    for name in choose_services(service):
        with kept.bear(name):
            kept.look_after(name)
    return kept.end()

"""Keep rollouts running, keep aliases and routes consistent, and show what is live."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.data.watching import choose_services
from tasks.monitoring.monitor import watch_monitor, watch_monitor_of_prompts
from tasks.rollout.keeper import Keeper
from tasks.rollout.settings import choose_routed_prompts
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
    for name in choose_services(service):
        with kept.collect_errors(name):
            kept.keep(name)
        with kept.collect_errors(name):
            watch_monitor(name)
    for name in choose_routed_prompts(service):
        with kept.collect_errors(name):
            kept.keep(name)
    if service == ALL:
        kept.keep_experiments()
        with kept.collect_errors("prompts"):
            watch_monitor_of_prompts()
    return kept.end()

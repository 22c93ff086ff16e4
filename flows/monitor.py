"""Judge the rules of monitoring on live figures, and note each change of an alert once."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.data.watching import choose_services
from tasks.drift.concept import judge_live
from tasks.monitoring.monitor import Monitor
from tasks.prompts.live.monitoring import monitor_prompts
from tasks.run.forms import ALL, ServiceOrAll
from tasks.run.state import state_failure


@flow(
    name="monitor",
    flow_run_name="{service}",
    persist_result=False,
    result_serializer="json",
)
@state_failure
def monitor(service: ServiceOrAll = ALL) -> State[Any]:
    """Judge the performance of the services' champions, and every rule for each new minute.

    With all services, prompts that serve are monitored too: a sample of their answers is judged
    first. The artifact `SERVICE-monitoring` has a row per rule. An alert that fires is an event and
    leaves this run green: a red run means that something could not be judged.

    Args:
        service: The service to monitor, or all, with the prompts.
    """
    run = Monitor()
    for name in choose_services(service):
        with run.collect_errors(f"{name}: performance"):
            judge_live(load_service(name, environment_name()))
        with run.collect_errors(name):
            run.watch(name)
    if service == ALL:
        monitor_prompts(run)
    return run.end()

"""Ingest new data that no event announced, announce what has no release, decide what waits."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.ingest import ingest
from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.data.ingestion import announce_unhandled
from tasks.data.watching import SourceWatch, choose_services, find_new_deliveries
from tasks.prompts.watching import watch_prompts
from tasks.release.approval import expire_late
from tasks.retraining.decisions import decide_causes
from tasks.retraining.gain import record_gain
from tasks.run.forms import ALL, ServiceOrAll
from tasks.run.state import state_failure


@flow(
    name="watch",
    flow_run_name="{service}",
    persist_result=False,
    result_serializer="json",
)
@state_failure
def watch(service: ServiceOrAll = ALL) -> State[Any]:
    """Ingest what is new in the services' sources, and announce data that has no release yet.

    A retraining that waits, or whose event was lost, is decided again and starts when it is time.
    With all services, prompts are watched too: a change of a version that is wished is announced,
    and it is told where another version serves. If one of them cannot be watched the others still
    are.

    Args:
        service: The service to watch, or all, with the prompts.
    """
    seen = SourceWatch()
    for name in choose_services(service):
        with seen.isolate_errors(name):
            config = load_service(name, environment_name())
            with seen.isolate_errors(name):
                for delivery in find_new_deliveries(config):
                    seen.note_run(name, ingest(name, delivery.argument, return_state=True))
            seen.note_announced(name, announce_unhandled(config))
            expire_late(name)
            seen.note_change(name, decide_causes(config))
            seen.note_change(name, record_gain(config))
    if service == ALL:
        watch_prompts(seen)
    return seen.end()

"""See what changed without an event, take it in, and tell the world."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.ingest import ingest
from sluice.config.loading import load_service
from tasks.data.ingestion import announce_unanswered
from tasks.data.watching import SourceWatch, choose_services, find_news
from tasks.release.approval import expire_late
from tasks.run.forms import ALL, ServiceOrAll
from tasks.run.state import state_failure
from tasks.run.tags import environment_name


@flow(
    name="watch",
    flow_run_name="{service}",
    persist_result=False,
    result_serializer="json",
)
@state_failure
def watch(service: ServiceOrAll = ALL) -> State[Any]:
    """Take in what the services' sources have new, and tell of data that no release answered.

    A service that cannot be watched does not keep the others from being watched.

    Args:
        service: The service to watch, or all.
    """
    seen = SourceWatch()
    for name in choose_services(service):
        with seen.bear(name):
            config = load_service(name, environment_name())
            with seen.bear(name):
                for delivery in find_news(config):
                    seen.note_run(name, ingest(name, delivery.argument, return_state=True))
            seen.note_told(name, announce_unanswered(config))
            expire_late(name)
    return seen.end()

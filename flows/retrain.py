"""Decide whether a loss, drift, an alert or the schedule starts a release."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
from sluice.home import environment_name
from tasks.data.watching import choose_services
from tasks.retraining.decisions import decide_causes, record_event
from tasks.retraining.run import RetrainingRun, read_moment
from tasks.run.forms import ALL, CauseEvent, ServiceOrAll
from tasks.run.names import name_retrain
from tasks.run.state import state_failure


@flow(
    name="retrain",
    flow_run_name=name_retrain,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def retrain(
    service: ServiceOrAll = ALL,
    event: CauseEvent = "schedule",
    payload: dict[str, Any] = {},  # noqa: B006
    at: str = "",
) -> State[Any]:
    """Record what an event says, decide, and start `release` where the service's file says so.

    A run that starts nothing ends as Skipped, with the reason. What waits is decided again by
    `watch`.

    Args:
        service: The service that the event is about, or all.
        event: What happened; `schedule` is the schedule of this deployment.
        payload: The event's payload, which says what it is about - metric, kind or rule; also as
            text, under the key json.
        at: Time of the event (ISO 8601); if empty, the time for which the run was scheduled.
    """
    done, moment = RetrainingRun(), read_moment(at)
    for name in choose_services(service):
        with done.isolate_errors(name):
            config = load_service(name, environment_name())
            known = record_event(name, event, payload, moment)
            done.note(name, decide_causes(config), known)
    return done.end()

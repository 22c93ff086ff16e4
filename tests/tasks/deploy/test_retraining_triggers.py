"""The shipped triggers of `retrain`: one for each event that opens a cause, all alike."""

from sluice.config.deployments import Deployment, read_deployments
from sluice.control.retraining import OPENING, SCHEDULE
from sluice.home import PROJECT


def read_retrain() -> Deployment:
    found = read_deployments(PROJECT / "deployments.yaml").deployments
    return next(item for item in found if item.entrypoint == "flows.retrain.retrain")


def test_each_event_that_opens_a_cause_has_a_trigger() -> None:
    triggers = read_retrain().triggers
    assert sorted(event for item in triggers for event in item.expect) == sorted(
        set(OPENING) - {SCHEDULE}
    )
    assert all(item.name == f"retrain on {item.expect[0]}" for item in triggers)


def test_triggers_tell_subjects_apart_and_pass_the_whole_event() -> None:
    triggers = read_retrain().triggers
    labels = ["prefect.resource.id", "sluice.version", "sluice.subject"]
    assert [item.for_each for item in triggers] == [labels] * len(triggers)
    assert all(item.parameters == triggers[0].parameters for item in triggers)
    assert set(triggers[0].parameters) == {"service", "event", "payload", "at"}


def test_the_schedule_asks_all_services() -> None:
    (schedule,) = read_retrain().schedules
    assert schedule.parameters == {"service": "all", "event": SCHEDULE}

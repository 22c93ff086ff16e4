"""What a trigger of `deployments.yaml` gives its flow, filled in as the server does."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
import yaml
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.user_templates import render_user_template_sync
from prefect.types import DateTime

from sluice.control.retraining_event import read_cause, unpack_payload
from sluice.home import PROJECT

TRIGGERS = [
    trigger
    for entry in yaml.safe_load((PROJECT / "deployments.yaml").read_text())["deployments"]
    for trigger in entry.get("triggers", [])
    if "sluice.service.*" in str(trigger["match"])
]
WITH_PAYLOAD = [trigger for trigger in TRIGGERS if "payload" in trigger["parameters"]]


def fill(trigger: dict[str, Any], payload: dict[str, Any]) -> Any:
    """Return the parameters that an event with the resource's id alone gives."""
    event = ReceivedEvent(
        occurred=DateTime.now("UTC"),
        event=trigger["expect"][0],
        resource={"prefect.resource.id": "sluice.service.employment"},
        payload=payload,
        id=UUID(int=1),
    )
    return _fill(trigger["parameters"], {"event": event})


def _fill(value: Any, context: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, context) for key, item in value.items()}
    return render_user_template_sync(value, context) if isinstance(value, str) else value


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger["name"])
def test_a_trigger_is_about_the_service_of_the_resource_id(trigger: dict[str, Any]) -> None:
    # Prefect asks for the id only; without a service a run would be about all of them.
    given = fill(trigger, {"version": 3})
    assert given.get("service", given.get("prompt")) == "employment"


def test_a_changed_prompt_gives_its_version_and_the_cause() -> None:
    [trigger] = [item for item in TRIGGERS if item["expect"] == ["prompt.changed"]]
    given = fill(trigger, {"version": 3, "change": "v3, 0123456789ab"})
    assert given == {"prompt": "employment", "version": "3", "cause": "prompt.changed"}


@pytest.mark.parametrize(
    "trigger",
    [item for item in TRIGGERS if "payload" in item["parameters"]],
    ids=lambda t: t["name"],
)
def test_a_payload_arrives_whole_and_the_server_can_show_its_run(trigger: dict[str, Any]) -> None:
    payload = {"metric": "auc", "kind": "data", "rule": "<psi> 'q'", "value": 10**40}
    given = fill(trigger, payload)
    assert orjson.dumps(given)
    assert unpack_payload(given["payload"]) == payload
    assert read_cause("employment", given["event"], payload, datetime.now(UTC)).subject

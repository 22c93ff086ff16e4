"""Events about a service, always on its one resource id."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from prefect.events import emit_event
from prefect.logging import get_logger

from sluice.adapters.control.store import prepare_control
from sluice.control.cause import PROMPT_CHANGED
from sluice.control.retraining import CLOSING, OPENING
from sluice.control.retraining_event import read_cause
from sluice.errors import SluiceError
from sluice.events import describe_resource
from sluice.prompts.listing import list_prompts

SUBJECT = "sluice.subject"
"""Label of an event that can start a retraining or a prompt's release: what it is about."""

REQUESTED = "rollout.requested"
"""The event that starts the deployment of `rollout`; the keeper starts what was missed."""
KIND = "sluice.kind"
"""Label of an alert's event: `model` or `prompt`."""


def publish_event(
    service: str, event: str, payload: dict[str, Any], identity: UUID | None = None
) -> None:
    """Emit an event about a service; it is a hint that can arrive twice or never.

    The server counts events of one `identity` once; without it each call is another event. What
    can start a retraining is recorded in the control store first, so that `watch` finds it if the
    event is lost.
    """
    occurred, resource = datetime.now(UTC), describe_resource(service, payload)
    is_prompt = service in list_prompts()
    if event.startswith("alert."):
        resource[KIND] = "prompt" if is_prompt else "model"
    if (event in OPENING or event in CLOSING) and not is_prompt:
        resource |= _record_cause(service, event, payload, occurred)
    if event == PROMPT_CHANGED:
        resource[SUBJECT] = str(payload["change"])
    emit_event(
        event=event,
        resource=resource,
        payload=payload,
        occurred=occurred,
        id=identity or uuid4(),
    )


def _record_cause(
    service: str, event: str, payload: dict[str, Any], occurred: datetime
) -> dict[str, str]:
    """Record a cause of retraining; return the event's label of it. An error is only logged."""
    try:
        cause = read_cause(service, event, payload, occurred)
        prepare_control().retrainings.record(cause, occurred)
    except SluiceError as error:
        get_logger("sluice").warning(
            "%s is emitted, and not in the control store: %s", event, error
        )
        return {}
    return {SUBJECT: cause.subject}

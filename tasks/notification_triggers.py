"""A notification as Prefect's automations: what it listens for, and what it sends."""

from uuid import UUID

from prefect.automations import AutomationCore
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger
from prefect.events.schemas.events import ResourceSpecification

from sluice.config.deployments import MARK
from sluice.config.notifications import Notification, WebhookNotification
from sluice.events import RUN_EVENTS, SERVICE_EVENTS
from sluice.report.notification import (
    DOCUMENT,
    group_events,
    name_on_server,
    write_text,
    write_title,
)

TAG = "notification"
"""The tag of our automations beside the common one; another has the notification's name."""
TITLE = "notification "
"""How the names of our automations begin, by which a failure of one is known."""
NOTICE = "notice"
"""The flow that tells of failed automations: were its runs told of, it would run in a circle."""


def write_automations(entry: Notification, block: UUID, flows: list[str]) -> list[AutomationCore]:
    """Give the automations of a notification: one each for services, flow runs and triggers.

    `flows` are those whose failed runs are told, where that is asked for.
    """
    return [
        AutomationCore(
            name=TITLE + entry.name + ("" if group[0] in SERVICE_EVENTS else f", {group[0]}"),
            description=f"Tells by {entry.kind}: {', '.join(group)}.",
            enabled=entry.enabled,
            tags=[MARK, TAG, tag_name(entry.name)],
            trigger=_write_trigger(entry, group, flows),
            actions=[_write_action(entry, group, block)],
        )
        for group in group_events(entry.names)
    ]


def tag_name(name: str) -> str:
    """Give the tag by which the automations of one notification are found."""
    return f"{TAG}:{name}"


def _write_trigger(entry: Notification, group: list[str], flows: list[str]) -> EventTrigger:
    """Listen for the events; each fires by itself."""
    match, related = _match_services(entry), list[ResourceSpecification]()
    if group[0] in RUN_EVENTS:
        match = {"prefect.resource.id": "prefect.flow-run.*"}
        names = [flow for flow in flows if flow != NOTICE]
        related = [_specify(role="flow", name=names)]
        if entry.services:
            tags = [f"prefect.tag.service:{service}" for service in entry.services]
            related.append(_specify(role="tag", id=tags))
    elif group[0] not in SERVICE_EVENTS:
        match = {
            "prefect.resource.id": "prefect.automation.*",
            "prefect.resource.name": f"!{TITLE}*",
        }
    return EventTrigger(
        expect={name_on_server(event) for event in group},
        match=ResourceSpecification(match),
        match_related=related,
        posture="Reactive",
        threshold=1,
    )


def _match_services(entry: Notification) -> dict[str, str | list[str]]:
    if not entry.services:
        return {"prefect.resource.id": "sluice.service.*"}
    return {"prefect.resource.id": [f"sluice.service.{service}" for service in entry.services]}


def _specify(**labels: str | list[str]) -> ResourceSpecification:
    return ResourceSpecification({f"prefect.resource.{key}": text for key, text in labels.items()})


def write_message(entry: Notification, group: list[str]) -> tuple[str, str]:
    """Give the templates of a notification's first line and of its other lines."""
    text, has_title = entry.text, False
    if isinstance(entry, WebhookNotification):
        text = DOCUMENT if entry.format == "json" else text
        has_title = not entry.title_key
    return write_title(group, entry.title), write_text(group, entry.title, text, has_title)


def _write_action(entry: Notification, group: list[str], block: UUID) -> SendNotification:
    subject, body = write_message(entry, group)
    return SendNotification(block_document_id=block, subject=subject, body=body)

"""What a deployments file says of notifications, held against the server before it is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from prefect.blocks.core import Block

from sluice.config.deployments import Deployments
from sluice.config.explanation import name_key
from sluice.config.loading import list_services
from sluice.config.notifications import Notification
from sluice.config.section import KeyInvalid
from sluice.config.yaml_file import Location
from sluice.errors import ConfigInvalid
from sluice.report.notification import group_events, name_on_server
from tasks.notification_blocks import make_block
from tasks.notification_triggers import write_message

Finding = tuple[Location, str]


@dataclass(frozen=True)
class Wanted:
    """A notification of the file with its block, secrets read."""

    entry: Notification
    block: Block


def check_notifications(file: Path, content: Deployments) -> list[Wanted]:
    """Give the file's notifications, if each could be made; read their secrets.

    Raises:
        ConfigInvalid: a service is not configured, a template cannot be filled in, or a secret is
            missing or unusable; the message names line, key and variable.
    """
    wanted: list[Wanted] = []
    findings: list[Finding] = []
    for index, entry in enumerate(content.notifications):
        place: Location = ("notifications", index)
        findings += [((*place, *inner), text) for inner, text in _check_entry(entry)]
        try:
            wanted.append(Wanted(entry, make_block(entry)))
        except KeyInvalid as error:
            findings.append(((*place, *error.key.split(".")), str(error)))
    if findings:
        raise ConfigInvalid("\n".join(name_key(file, *finding) for finding in findings))
    return wanted


def _check_entry(entry: Notification) -> Iterator[Finding]:
    services = list_services()
    for index, service in enumerate(entry.services):
        if service not in services:
            allowed = ", ".join(services)
            yield ("services", index), f"no service '{service}'; allowed: {allowed}"
    for key in ("title", "text"):
        if getattr(entry, key) and (fault := _find_fault(entry, key)):
            yield (key,), fault
            return  # the text may use the title


def _find_fault(entry: Notification, key: str) -> str:
    """Say why a template could not be filled in for one of the events; empty where it could."""
    for group in group_events(entry.names):
        title, text = write_message(entry, group)
        for event in group:
            if fault := _try(title if key == "title" else text, event):
                return fault
    return ""


def _try(template: str, event: str) -> str:
    """Fill in a template with a made-up event; say what went wrong."""
    from prefect.server.events.jinja_filters import all_filters
    from prefect.server.utilities.user_templates import (
        TemplateRenderError,
        TemplateSecurityError,
        register_user_template_filters,
        render_user_template_sync,
        validate_user_template,
    )

    register_user_template_filters(all_filters)
    try:
        validate_user_template(template)
        render_user_template_sync(template, _imagine(event))
    except TemplateRenderError as error:
        return f"not readable as a template: {error.error}"
    except (TemplateSecurityError, ValueError) as error:
        return f"not readable as a template: {error}"
    except Exception as error:  # what Jinja raises while it parses
        return f"not readable as a template: {getattr(error, 'message', error)}"
    return ""


def _imagine(event: str) -> dict[str, Any]:
    """Give what a template is filled in with, of an event that never was."""
    texts = ("reason", "why", "by", "gate", "outcome", "next", "alias", "deadline", "stage", "rule")
    resource = {"prefect.resource.name": "service", "prefect.state-message": 'a "quoted" reason'}
    return {
        "event": SimpleNamespace(
            event=name_on_server(event),
            id=UUID(int=1),
            occurred=datetime(2026, 1, 1, tzinfo=UTC),
            resource=resource,
            payload={"version": 1, **dict.fromkeys(texts, 'a "quoted" text')},
        ),
        "flow": SimpleNamespace(name="flow"),
    }

"""What a process without Prefect's client tells a Prefect server: events and pages, over HTTP."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sluice.adapters.server.api import ask_server, is_healthy

NOTE_SECONDS = 3.0
"""Longest wait for the server's answer to one note."""


def is_there(api: str) -> bool:
    """Whether a Prefect server is named and answers."""
    return bool(api) and is_healthy(api)


def send_event(api: str, service: str, event: str, payload: dict[str, Any]) -> bool:
    """Send an event about a service; return whether the server took it.

    It is the event that a flow run would emit: the same resource, the same labels.
    """
    resource = {
        "prefect.resource.id": f"sluice.service.{service}",
        "prefect.resource.name": service,
    }
    if "version" in payload:
        resource["sluice.version"] = str(payload["version"])
    body = {
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": resource,
        "related": [],
        "payload": payload,
        "id": str(uuid.uuid4()),
    }
    status, _ = ask_server(f"{api}/events", [body], seconds=NOTE_SECONDS)
    return status in (200, 201, 204)


def send_page(api: str, key: str, page: str, description: str) -> bool:
    """Publish a Markdown page under an artifact's key; return whether the server took it."""
    body = {"key": key, "type": "markdown", "data": page, "description": description}
    status, _ = ask_server(f"{api}/artifacts/", body, seconds=NOTE_SECONDS)
    return status in (200, 201)

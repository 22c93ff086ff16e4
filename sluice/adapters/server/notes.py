"""What a process without Prefect's client tells a Prefect server: events and pages, over HTTP."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sluice.adapters.server.api import ask_server, is_healthy
from sluice.events import describe_resource

NOTE_SECONDS = 3.0
"""Longest wait for the server's answer to one note."""


def is_there(api: str) -> bool:
    """Whether a Prefect server is named and answers."""
    return bool(api) and is_healthy(api)


def send_event(api: str, service: str, event: str, payload: dict[str, Any]) -> bool:
    """Send an event about a service, as a flow run emits it; return whether the server took it."""
    body = {
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": describe_resource(service, payload),
        "related": [],
        "payload": payload,
        "id": str(uuid.uuid4()),
    }
    status, _ = ask_server(f"{api}/events", [body], seconds=NOTE_SECONDS)
    return status in (200, 201, 204)


def send_page(api: str, page: str, key: str, description: str) -> bool:
    """Publish a Markdown page under an artifact's key; return whether the server took it."""
    body = {"key": key, "type": "markdown", "data": page, "description": description}
    status, _ = ask_server(f"{api}/artifacts/", body, seconds=NOTE_SECONDS)
    return status in (200, 201)

"""What the world is told about a service, always on its one resource id."""

from typing import Any

from prefect.events import emit_event


def tell_world(service: str, event: str, payload: dict[str, Any]) -> None:
    """Emit an event about a service; it is a hint, which can come twice or never."""
    emit_event(
        event=event,
        resource={
            "prefect.resource.id": f"sluice.service.{service}",
            "prefect.resource.name": service,
        },
        payload=payload,
    )

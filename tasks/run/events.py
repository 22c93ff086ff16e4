"""Events about a service, always on its one resource id."""

from typing import Any

from prefect.events import emit_event


def publish_event(service: str, event: str, payload: dict[str, Any]) -> None:
    """Emit an event about a service; it is a hint that can arrive twice or never.

    A payload's `version` is also the resource's label `sluice.version`, because triggers
    distinguish events by labels only.
    """
    resource = {
        "prefect.resource.id": f"sluice.service.{service}",
        "prefect.resource.name": service,
    }
    if "version" in payload:
        resource["sluice.version"] = str(payload["version"])
    emit_event(event=event, resource=resource, payload=payload)

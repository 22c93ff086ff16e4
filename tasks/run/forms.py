"""Types of flow parameters, which Prefect's UI shows as form fields."""

from typing import Annotated, Any

from pydantic import Field

from sluice.config.loading import list_policies, list_services
from sluice.rollout.state import Action


def offer(choices: list[str]) -> dict[str, Any]:
    """Return the schema of a dropdown; of a text field if there is nothing to choose."""
    return {"enum": choices} if choices else {}


ServiceName = Annotated[str, Field(json_schema_extra=offer(list_services()))]
"""A service: one of those that are configured when the form is deployed."""

LATEST = -1
DataVersion = Annotated[int, Field(ge=-1)]
"""A version of a service's data; `LATEST` is the newest."""
ALL = "all"
ServiceOrAll = Annotated[str, Field(json_schema_extra={"enum": [ALL, *list_services()]})]
"""A service, or all of them."""
Words = Annotated[str, Field(min_length=1, pattern=r"\S")]
"""Text that may not be blank."""

CandidateVersion = Annotated[int, Field(ge=-1)]
"""A version of a service's model; -1 is the one that carries the alias `candidate`."""
PolicyName = Annotated[str, Field(json_schema_extra=offer(["as-configured", *list_policies()]))]
"""A rollout policy; `as-configured` is the service's own."""
ActionName = Annotated[str, Field(json_schema_extra=offer([item.value for item in Action]))]
"""A command to a rollout."""
ModelVersion = Annotated[int, Field(ge=1)]
"""A version of a service's model."""

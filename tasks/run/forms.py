"""The types that the forms of the UI are made of."""

from typing import Annotated, Any

from pydantic import Field

from sluice.config.loading import list_policies, list_services
from sluice.rollout.state import Action


def offer(choices: list[str]) -> dict[str, Any]:
    """Give what makes a form field a dropdown; a text field where there is nothing to choose."""
    return {"enum": choices} if choices else {}


ServiceName = Annotated[str, Field(json_schema_extra=offer(list_services()))]
"""A service, chosen from those that are configured when the form is deployed."""

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
PolicyName = Annotated[str, Field(json_schema_extra=offer(["as configured", *list_policies()]))]
"""A policy of a rollout, or the service's own."""
ActionName = Annotated[str, Field(json_schema_extra=offer([item.value for item in Action]))]
"""What a person may command a rollout."""
ModelVersion = Annotated[int, Field(ge=1)]
"""A version of a service's model."""

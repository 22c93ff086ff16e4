"""The types that the forms of the UI are made of."""

from typing import Annotated, Any

from pydantic import Field

from sluice.config.loading import list_services


def offer(choices: list[str]) -> dict[str, Any]:
    """Give what makes a form field a dropdown; a text field where there is nothing to choose."""
    return {"enum": choices} if choices else {}


ServiceName = Annotated[str, Field(json_schema_extra=offer(list_services()))]
"""A service, chosen from those that are configured when the form is deployed."""

DataVersion = Annotated[int, Field(ge=-1)]
"""A version of a service's data; -1 is the latest."""
ALL = "all"
ServiceOrAll = Annotated[str, Field(json_schema_extra={"enum": [ALL, *list_services()]})]
"""A service, or all of them."""
Words = Annotated[str, Field(min_length=1, pattern=r"\S")]
"""Text that may not be blank."""

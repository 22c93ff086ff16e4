"""The types that the forms of the UI are made of."""

from typing import Annotated

from pydantic import Field

from sluice.config.loading import list_services

ServiceName = Annotated[str, Field(json_schema_extra={"enum": [*list_services()]})]
"""A service, chosen from those that are configured when the form is deployed."""

Words = Annotated[str, Field(min_length=1, pattern=r"\S")]
"""Text that may not be blank."""

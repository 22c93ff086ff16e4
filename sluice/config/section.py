"""What every configuration section has in common: closed, frozen, strict."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of a configuration; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

"""What every configuration section has in common: closed, frozen, strict."""

from pydantic import BaseModel, ConfigDict


class KeyInvalid(ValueError):  # noqa: N818
    """A value that turns out wrong beside others; `key` says where it stands in its section."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Section(BaseModel):
    """A frozen part of a configuration; a key that it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,  # a limit that is no number would be a gate that never halts
        use_attribute_docstrings=True,
    )

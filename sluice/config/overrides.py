"""Overrides: changes for one release that leave the configuration's file as it is."""

from typing import Literal

from pydantic import Field, ValidationError, field_validator

from sluice.config.service import ServiceConfig
from sluice.config.yaml_file import Section
from sluice.errors import ConfigInvalid

AS_CONFIGURED = -1
LARGEST_SEED = 2**32 - 1
"""Largest seed that the estimators accept."""


Mitigation = Literal["as-configured", "none", "reweigh"]


class Overrides(Section):
    """Changes for one release; like the configuration, they are part of its identity."""

    seed: int = Field(
        AS_CONFIGURED,
        ge=AS_CONFIGURED,
        le=LARGEST_SEED,
        description="Training seed; -1: as configured.",
    )
    split_seed: int = Field(
        AS_CONFIGURED, ge=AS_CONFIGURED, description="Seed of the split; -1: as configured."
    )
    mitigation: Mitigation = Field("as-configured", description="Bias mitigation in training.")

    @field_validator("mitigation", mode="before")
    @classmethod
    def _respell(cls, value: object) -> object:
        """Accept `as configured`, as earlier versions spelled it in schedules and forms."""
        return "as-configured" if value == "as configured" else value


def apply_overrides(config: ServiceConfig, overrides: Overrides) -> ServiceConfig:
    """Return the configuration with the overrides applied; other fields stay as configured."""
    changed = config
    if overrides.seed != AS_CONFIGURED:
        model = config.model.model_copy(update={"seed": overrides.seed})
        changed = changed.model_copy(update={"model": model})
    if overrides.split_seed != AS_CONFIGURED:
        split = config.split.model_copy(update={"seed": overrides.split_seed})
        changed = changed.model_copy(update={"split": split})
    if overrides.mitigation != "as-configured":
        bias = config.bias.model_copy(update={"mitigation": overrides.mitigation})
        changed = changed.model_copy(update={"bias": bias})
    return changed


def read_overrides(values: dict[str, object]) -> Overrides:
    """Read overrides from the values of a command line.

    Raises:
        ConfigInvalid: a value is not allowed; the message names it.
    """
    try:
        return Overrides.model_validate(values)
    except ValidationError as error:
        found = error.errors()[0]
        key = ".".join(str(part) for part in found["loc"])
        raise ConfigInvalid(f"override {key}: {found['msg']}; found {found['input']!r}") from error

"""How a service's candidates take over: the name of a policy."""

from pydantic import Field

from sluice.config.section import Section


class RolloutConfig(Section):
    """How traffic moves to a candidate of this service."""

    policy: str = Field("standard", min_length=1)
    """Name of a file in `configs/policies`, or the path of a YAML file."""

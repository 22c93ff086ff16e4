"""Which version of each prompt is meant to be active in each environment: `prompts/config.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sluice.config.yaml_file import Section
from sluice.prompts.yaml_section import read_section

ACTIVE = "config.yaml"
VersionNumber = Annotated[int, Field(ge=1)]


class ActiveVersions(Section):
    """Prompt to version, by environment. What really serves is in the control store."""

    development: dict[str, VersionNumber] = Field(default_factory=dict)
    production: dict[str, VersionNumber] = Field(default_factory=dict)

    def of(self, environment: str) -> dict[str, int]:
        """Return the versions of an environment by prompt."""
        return self.production if environment == "production" else self.development


def read_active(path: Path) -> ActiveVersions:
    """Read the active versions; without a file no prompt has one.

    Raises:
        PromptInvalid: an environment is unknown, or a version is no number from 1.
    """
    return read_section(path, ActiveVersions) if path.exists() else ActiveVersions()

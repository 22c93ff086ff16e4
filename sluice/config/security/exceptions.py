"""Exceptions to the security gate: what a person accepts, why, and until when."""

from datetime import date
from pathlib import Path

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section, find_shared, read_section
from sluice.home import CONFIGS

FILE = Path("security", "exceptions.yaml")


class SecurityException(Section):
    """One accepted finding; from the day after `until` on it stops releases again."""

    id: str = Field(min_length=4, max_length=80)
    """The finding's id as the verdict shows it: an advisory (`GHSA-...`, `CVE-...`, `PYSEC-...`) or
    a secret (`SECRET-...`)."""
    package: str = ""
    """For an advisory: the only package that it is accepted for; empty: every package."""
    reason: str = Field(min_length=10)
    """Why it is no danger here, in a sentence."""
    until: date
    """The last day on which it holds (UTC)."""

    @model_validator(mode="after")
    def _is_said_in_words(self) -> "SecurityException":
        if not self.reason.strip() or not self.id.strip():
            raise KeyInvalid("reason", "found blanks; needed: an id and a reason in words")
        return self


class SecurityExceptions(Section):
    """All exceptions to the security gate."""

    exceptions: tuple[SecurityException, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "SecurityExceptions":
        seen: set[tuple[str, str]] = set()
        for number, item in enumerate(self.exceptions):
            if (item.id, item.package) in seen:
                place = f"exceptions.{number}.id"
                raise KeyInvalid(place, f"found '{item.id}' twice; allowed: one end date for each")
            seen.add((item.id, item.package))
        return self


def load_exceptions(folder: Path = CONFIGS) -> SecurityExceptions:
    """Read the exceptions; a folder of configurations without the file has the project's.

    Raises:
        ConfigInvalid: the file is not YAML, a key is unknown, a value is not allowed.
    """
    return read_section(find_shared(FILE, folder), SecurityExceptions)

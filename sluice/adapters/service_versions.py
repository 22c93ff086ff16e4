"""What differs between models and prompts on trial: where their versions and aliases are kept.

Rollouts, rollbacks and restores know a service's versions by `ServiceVersions` alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sluice.adapters.control.store import Control
from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION, PREVIOUS
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import Registry
from sluice.control.admission import VersionAdmission
from sluice.control.route import RouteKind


class VersionRecord(Protocol):
    """The registry's record of one version."""

    @property
    def service(self) -> str:
        """The service that it belongs to."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags when it was read."""


class ServiceVersions(Protocol):
    """The versions of one service in the registry, and their aliases.

    Every method raises `RegistryUnavailable` where the registry cannot be reached. An interrupted
    move of aliases is completed by the same call again.
    """

    @property
    def adopts_aliases(self) -> bool:
        """Whether an alias that a person moves in the registry is a command."""

    def find(self, version: int) -> VersionRecord | None:
        """Return a version by its number; None where there is none."""

    def find_alias(self, alias: str) -> VersionRecord | None:
        """Return the version with an alias; None where no version has it."""

    def judge(self, version: VersionRecord) -> VersionAdmission:
        """Decide whether a version may serve by its gates, approvals and exceptions."""

    def make_champion(self, version: int, before: int | None) -> int | None:
        """Make a version champion and the one before it previous; return the previous one."""

    def revert_promotion(self, champion: int, candidate: int) -> None:
        """Give the alias `champion` back to the champion, and remove the candidate's aliases."""

    def drop_previous(self, version: int) -> None:
        """Remove the alias `previous` from a version that has it."""


@dataclass(frozen=True)
class ModelVersions:
    """The versions of a service's model; its gates' verdicts are tags of each version."""

    control: Control
    registry: Registry
    service: str
    adopts_aliases = True

    def find(self, version: int) -> VersionRecord | None:
        """Return a version by its number; None where there is none."""
        return find_version(self.registry, self.service, version)

    def find_alias(self, alias: str) -> VersionRecord | None:
        """Return the version with an alias; None where no version has it."""
        return self.registry.find_alias(self.service, alias)

    def judge(self, version: VersionRecord) -> VersionAdmission:
        """Decide by the verdicts, and by approvals and exceptions of the control store."""
        return self.control.admissions.judge(self.service, version.version, version.tags)

    def make_champion(self, version: int, before: int | None) -> int | None:
        """Make a version champion and the one before it previous; return the previous one."""
        found = self.registry.make_champion(self.service, version, before)
        return found.version if found else None

    def revert_promotion(self, champion: int, candidate: int) -> None:
        """Give the alias `champion` back to the champion, and remove the candidate's aliases."""
        self.registry.revert_promotion(self.service, champion, candidate)

    def drop_previous(self, version: int) -> None:
        """Remove the alias `previous` from a version that has it."""
        self.registry.drop_previous(self.service, version)


@dataclass(frozen=True)
class PublishedRecord:
    """A published version of a prompt."""

    service: str
    version: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PromptVersions:
    """The published versions of a prompt: each one passed its gates before it was published."""

    control: Control
    registry: Registry
    service: str
    adopts_aliases = False
    """The registry only shows prompts to people: `watch` sets its alias `champion` again."""

    def find(self, version: int) -> VersionRecord | None:
        """Return a published version by its number; None where there is none."""
        is_known = version in self.registry.list_published(self.service)
        return PublishedRecord(self.service, version) if is_known else None

    def find_alias(self, alias: str) -> VersionRecord | None:
        """Return the version with an alias; None where no version has it."""
        found = self.registry.find_marked(self.service, alias)
        return None if found is None else PublishedRecord(self.service, found)

    def judge(self, version: VersionRecord) -> VersionAdmission:
        """Return that every gate passed it: nothing else is ever published."""
        return VersionAdmission(f"v{version.version} was published after every gate passed it")

    def make_champion(self, version: int, before: int | None) -> int | None:
        """Make a version champion and the one before it previous; return the previous one."""
        if before is not None and before != version:
            self.registry.mark_active(self.service, before, PREVIOUS)
        self.registry.mark_active(self.service, version, CHAMPION)
        self._drop(CANDIDATE, version)
        return self.registry.find_marked(self.service, PREVIOUS)

    def revert_promotion(self, champion: int, candidate: int) -> None:
        """Give the alias `champion` back to the champion, and remove the candidate's aliases."""
        if self.registry.find_marked(self.service, CHAMPION) == candidate:
            self.registry.mark_active(self.service, champion, CHAMPION)
        self._drop(PREVIOUS, champion)
        self._drop(CANDIDATE, candidate)

    def drop_previous(self, version: int) -> None:
        """Remove the alias `previous` from a version that has it."""
        self._drop(PREVIOUS, version)

    def _drop(self, alias: str, version: int) -> None:
        if self.registry.find_marked(self.service, alias) == version:
            self.registry.unmark(self.service, alias)


KINDS: Mapping[RouteKind, Callable[[Control, Registry, str], ServiceVersions]] = {
    "model": ModelVersions,
    "prompt": PromptVersions,
}
"""A route's kind to what keeps the versions of such a service."""


def open_versions(control: Control, registry: Registry, service: str) -> ServiceVersions:
    """Return a service's versions, by the kind of its route; without a route those of a model.

    Raises:
        Fault: the control store cannot be reached.
    """
    route = control.routes.find(service)
    return KINDS[route.kind if route else "model"](control, registry, service)

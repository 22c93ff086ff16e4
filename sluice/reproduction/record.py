"""What a version recorded of the data, code, configuration and environment that made it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.data.version import DataVersion
from sluice.errors import NotReproducible, TreeWasDirty
from sluice.identity import UNKNOWN, CodeVersion, Environment, ReleaseIdentity

NEEDED = (
    "sluice.release",
    "sluice.data.uri",
    "sluice.data.version",
    "sluice.data.rows",
    "sluice.data.schema_hash",
    "sluice.data.content_hash",
    "sluice.code.commit",
    "sluice.code.dirty",
    "sluice.config.hash",
    "sluice.environment.lock_hash",
    "sluice.environment.python",
    "sluice.environment.platform",
)
"""Tags of a model's version without which nothing can be made again."""


def read_identity(service: str, version: int, tags: Mapping[str, str]) -> ReleaseIdentity:
    """Return the identity that the tags of a model's version hold.

    Raises:
        NotReproducible: a tag is missing, or they are not those that the release wrote.
        TreeWasDirty: the code had changes that no commit has, or no commit is known.
    """
    name = f"{service} v{version}"
    missing = [key for key in NEEDED if not tags.get(key)]
    if missing:
        raise NotReproducible(
            f"{name}: its record lacks {', '.join(missing)}; it was registered by another program, "
            f"or a tag was deleted; next: release again: sluice release {service}"
        )
    environment = {
        key: tags.get(f"sluice.environment.{key}", "")
        for key in ("lock_hash", "python", "platform", "image")
    }
    data = DataVersion(
        tags["sluice.data.uri"],
        _read_number(name, tags, "sluice.data.version"),
        _read_number(name, tags, "sluice.data.rows"),
        tags["sluice.data.schema_hash"],
        tags["sluice.data.content_hash"],
    )
    found = ReleaseIdentity(
        service,
        data,
        CodeVersion(tags["sluice.code.commit"], tags["sluice.code.dirty"] != "false"),
        tags["sluice.config.hash"],
        Environment(**environment),
    )
    if found.id != tags["sluice.release"]:
        raise NotReproducible(
            f"{name}: its tags were changed after the release: they give the identity {found.id}, "
            f"the release was {tags['sluice.release']}; next: restore the registry's database"
        )
    require_clean(name, found.code, f"sluice release {service}")
    return found


def require_clean(name: str, code: CodeVersion, again: str) -> None:
    """Check that a commit has all the code of a version; `again` is the command that makes one.

    Raises:
        TreeWasDirty: it has not.
    """
    if code.commit == UNKNOWN:
        raise TreeWasDirty(
            f"{name}: it was made outside of a git checkout, so that no commit has its code; next: "
            f"commit the project, then: {again}"
        )
    if code.dirty:
        raise TreeWasDirty(
            f"{name}: the tree had uncommitted changes on top of {code.commit[:12]}, so that no "
            f"commit has its code; next: commit them, then: {again} (code.uncommitted: refuse "
            "allows no such release)"
        )


def _read_number(name: str, tags: Mapping[str, str], key: str) -> int:
    if not tags[key].isdecimal():
        raise NotReproducible(
            f"{name}: tag {key}: found '{tags[key]}'; allowed: a whole number; next: restore the "
            "registry's database"
        )
    return int(tags[key])


@dataclass(frozen=True)
class EnvironmentChoice:
    """The environment that makes it again: this one, or one of its own; `reason` says why."""

    is_present: bool
    reason: str


def choose_environment(recorded: Environment, present: Environment) -> EnvironmentChoice:
    """Choose this environment where lock and Python are those that were recorded."""
    if recorded.lock_hash != present.lock_hash:
        reason = f"the lock is {present.lock_hash[:12]} here, it was {recorded.lock_hash[:12]}"
        return EnvironmentChoice(False, reason)
    if recorded.python != present.python:
        reason = f"Python is {present.python} here, it was {recorded.python}"
        return EnvironmentChoice(False, reason)
    return EnvironmentChoice(True, "lock and Python are the same here")

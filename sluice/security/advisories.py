"""Whether an advisory in OSV's format names a locked version.

The rules are those of the OSV schema, https://ossf.github.io/osv-schema/, "Evaluation": a version
is affected if it is listed in `versions`, or lies in a range of `ranges`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.version import InvalidVersion, Version

from sluice.doctor import LockedPackage, normalise_name
from sluice.security.evidence import Vulnerability

ECOSYSTEM = "PyPI"
COMPARED = ("ECOSYSTEM", "SEMVER")
"""Types of ranges whose events are versions; those of `GIT` are commits."""


def pin_packages(packages: Sequence[LockedPackage]) -> dict[str, tuple[str, ...]]:
    """Return each package's locked versions; a lock may have several, each for other systems."""
    pins: dict[str, tuple[str, ...]] = {}
    for package in packages:
        known = pins.get(package.name, ())
        pins[package.name] = known if package.version in known else (*known, package.version)
    return pins


def find_vulnerabilities(
    advisory: Mapping[str, Any], pins: Mapping[str, Sequence[str]]
) -> Iterator[Vulnerability]:
    """Yield each locked version that an advisory names; a withdrawn one names none.

    Raises:
        KeyError: the advisory lacks a field that the schema needs.
        ValueError: a version of the advisory is none.
        TypeError: a field is of another kind.
    """
    if advisory.get("withdrawn"):
        return
    ids = (str(advisory["id"]), *(str(item) for item in advisory.get("aliases") or ()))
    for affected in advisory.get("affected") or ():
        package = affected.get("package") or {}
        name = normalise_name(str(package.get("name", "")))
        if package.get("ecosystem") != ECOSYSTEM or name not in pins:
            continue
        for version in pins[name]:
            if is_affected(version, affected):
                yield Vulnerability(name, version, ids, tuple(_list_fixes(affected)))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Return whether a version is affected by an entry of an advisory.

    Raises:
        ValueError: a version of a range is none.
    """
    pinned = Version(version)
    listed = affected.get("versions") or ()
    if any(_is_same(str(item), pinned) for item in listed):
        return True
    ranges = [item for item in affected.get("ranges") or () if item.get("type") in COMPARED]
    return any(_contains(item.get("events") or (), pinned) for item in ranges)


def _is_same(text: str, version: Version) -> bool:
    """Return whether a listed version is this one; an old one that PEP 440 cannot read is not."""
    try:
        return Version(text) == version
    except InvalidVersion:
        return False


def _contains(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """Walk a range's events in the order of versions, as the schema's algorithm does."""
    inside = False
    for kind, at in sorted(_read_events(events), key=lambda item: item[1]):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind in ("fixed", "limit") and version >= at) or (
            kind == "last_affected" and version > at
        ):
            inside = False
    return inside


def _read_events(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    for event in events:
        for kind, text in event.items():
            if text != "*":  # a limit without an end
                yield kind, Version("0.dev0" if text == "0" else text)


def _list_fixes(affected: Mapping[str, Any]) -> list[str]:
    found = [
        str(event["fixed"])
        for item in affected.get("ranges") or ()
        if item.get("type") in COMPARED
        for event in item.get("events") or ()
        if "fixed" in event
    ]
    return sorted(set(found), key=Version)

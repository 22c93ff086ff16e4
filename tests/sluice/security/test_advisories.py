"""Versions that an advisory names, by the rules of the OSV schema."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sluice.doctor import LockedPackage
from sluice.security.advisories import find_vulnerabilities, is_affected, pin_packages

PINS = {"jinja2": ("3.1.2",), "numpy": ("1.26.0", "2.0.0")}


def advisory(*events: dict[str, str], name: str = "Jinja2", **facts: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    package = {"name": name, "ecosystem": facts.pop("ecosystem", "PyPI")}
    affected = [{"package": package, "ranges": ranges, "versions": facts.pop("versions", [])}]
    return {"id": "GHSA-1", "aliases": ["CVE-1"], "affected": affected, **facts}


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        (({"introduced": "0"}, {"fixed": "3.1.3"}), True),
        (({"introduced": "0"}, {"fixed": "3.1.2"}), False),
        (({"introduced": "3.1.2"},), True),
        (({"introduced": "3.1.3"},), False),
        (({"introduced": "0"}, {"last_affected": "3.1.2"}), True),
        (({"introduced": "0"}, {"last_affected": "3.1.1"}), False),
        (({"fixed": "3.1.9"}, {"introduced": "3.0"}, {"fixed": "2.9"}, {"introduced": "0"}), True),
        (({"introduced": "0"}, {"fixed": "3.0"}, {"introduced": "3.1.5"}), False),
        (({"introduced": "0"}, {"limit": "*"}), True),
        (({"introduced": "0"}, {"limit": "3.1"}), False),
        ((), False),
    ],
)
def test_ranges(events: tuple[dict[str, str], ...], affected: bool) -> None:
    found = list(find_vulnerabilities(advisory(*events), PINS))
    assert bool(found) is affected


def test_listed_versions_are_compared_as_versions() -> None:
    assert list(find_vulnerabilities(advisory(versions=["3.1.2.0", "not-a-version"]), PINS))


def test_what_is_found_has_ids_and_repairs() -> None:
    events = ({"introduced": "0"}, {"fixed": "3.10.0"}, {"introduced": "3.20"}, {"fixed": "3.9.1"})
    (found,) = find_vulnerabilities(advisory(*events), PINS)
    assert (found.package, found.version) == ("jinja2", "3.1.2")
    assert found.ids == ("GHSA-1", "CVE-1")
    assert found.fixed == ("3.9.1", "3.10.0")


def test_each_locked_version_of_a_package_is_compared() -> None:
    events = ({"introduced": "0"}, {"fixed": "2.0.0"})
    (found,) = find_vulnerabilities(advisory(*events, name="NumPy"), PINS)
    assert found.version == "1.26.0"


@pytest.mark.parametrize(
    "facts", [{"withdrawn": "2026-01-01T00:00:00Z"}, {"name": "other"}, {"ecosystem": "npm"}]
)
def test_what_is_not_about_the_lock(facts: dict[str, Any]) -> None:
    assert not list(find_vulnerabilities(advisory({"introduced": "0"}, **facts), PINS))


def test_commits_are_no_versions() -> None:
    entry = {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}
    assert not is_affected("1.0", entry)


@given(st.tuples(*[st.integers(0, 30)] * 3))
def test_a_range_is_half_open(numbers: tuple[int, int, int]) -> None:
    version, start, end = numbers[0], *sorted(numbers[1:])
    assume(start < end)
    events = [{"introduced": f"1.{start}"}, {"fixed": f"1.{end}"}]
    entry = {"ranges": [{"type": "ECOSYSTEM", "events": events}]}
    assert is_affected(f"1.{version}", entry) == (start <= version < end)


def test_pins_keep_every_version() -> None:
    packages = [LockedPackage("a", "1"), LockedPackage("a", "2"), LockedPackage("b", "1")]
    assert pin_packages([*packages, packages[0]]) == {"a": ("1", "2"), "b": ("1",)}

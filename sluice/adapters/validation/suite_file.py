"""Expectation suites as files, and the two files of a new service."""

import json
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sluice.adapters.storage import explain_os_error, write_whole
from sluice.adapters.validation.expectations import check_suite
from sluice.errors import ServiceExists
from sluice.profile.rules import DataRule


def build_suite(name: str, rules: Sequence[DataRule]) -> dict[str, Any]:
    """Give a suite of the rules, each with an id of its own."""
    return {
        "expectations": [build_expectation(rule) for rule in rules],
        "id": str(uuid.uuid4()),
        "meta": {"great_expectations_version": version("great_expectations")},
        "name": name,
        "notes": None,
    }


def build_expectation(rule: DataRule) -> dict[str, Any]:
    """Give one rule as a suite's file holds it, with a new id."""
    built: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "kwargs": rule.kwargs,
        "meta": {},
        "severity": "critical",
        "type": rule.type,
    }
    return built | ({"notes": rule.notes} if rule.notes else {})


def read_suite(folder: Path, name: str) -> dict[str, Any]:
    """Read a suite's file as it stands.

    Raises:
        ConfigInvalid: it is missing, or no suite.
    """
    values: dict[str, Any] = json.loads(check_suite(folder, name).read_text(encoding="utf-8"))
    return values


def write_suite(folder: Path, name: str, suite: dict[str, Any]) -> None:
    """Put a suite in the place of its file, whole or not at all.

    Raises:
        StorageFull: no room for it.
        DataUnavailable: the folder cannot be written.
    """
    path = folder / "expectations" / f"{name}.json"
    try:
        write_whole({path: dump_suite(suite)})
    except OSError as error:
        raise explain_os_error(error, str(path)) from error


def dump_suite(suite: dict[str, Any]) -> str:
    """Give a suite's text, keys in order, so that a change shows as one."""
    return json.dumps(suite, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def list_files(service: str, configs: Path, suites: Path) -> tuple[Path, Path]:
    """Give the paths of a service's configuration and suite."""
    return configs / f"{service}.yaml", suites / "expectations" / f"{service}.json"


def check_free(service: str, configs: Path, suites: Path) -> None:
    """Refuse a name whose files are there.

    Raises:
        ServiceExists: with the files, and how to go on.
    """
    there = [str(path) for path in list_files(service, configs, suites) if path.exists()]
    if there:
        raise ServiceExists(
            f"service '{service}' has {' and '.join(there)} already: give --service another "
            "name, or --force to write them anew (what was changed by hand is lost)"
        )


def write_service(
    service: str, document: str, rules: Sequence[DataRule], configs: Path, suites: Path
) -> tuple[Path, Path]:
    """Write a service's configuration and suite, both or neither, and give their paths.

    Raises:
        StorageFull: no room for them.
        DataUnavailable: a folder cannot be written.
    """
    config, suite = list_files(service, configs, suites)
    try:
        write_whole({suite: dump_suite(build_suite(service, rules)), config: document})
    except OSError as error:
        raise explain_os_error(error, f"{config} and {suite}") from error
    return config, suite

"""Files of expectation suites, and the two files of a new service."""

import json
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sluice.adapters.storage import PUBLIC, explain_os_error, write_whole
from sluice.adapters.validation.expectations import check_suite
from sluice.documents import read_json
from sluice.errors import ServiceExists
from sluice.profile.rules import GROWS, DataRule


def build_suite(name: str, rules: Sequence[DataRule]) -> dict[str, Any]:
    """Return a suite of the rules, each with its own id."""
    return {
        "expectations": [build_expectation(rule) for rule in rules],
        "id": str(uuid.uuid4()),
        "meta": {"great_expectations_version": version("great_expectations")},
        "name": name,
        "notes": None,
    }


def build_expectation(rule: DataRule) -> dict[str, Any]:
    """Return one rule in the format of a suite's file, with a new id."""
    built: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "kwargs": rule.kwargs,
        "meta": {},
        "severity": "critical",
        "type": rule.type,
    }
    return built | ({"notes": rule.notes} if rule.notes else {})


def read_suite(folder: Path, name: str) -> dict[str, Any]:
    """Return the values of a suite's file.

    Raises:
        ConfigInvalid: it is missing, or no suite.
    """
    values: dict[str, Any] = read_json(check_suite(folder, name))
    return values


def list_growing(folder: Path, name: str) -> tuple[str, ...]:
    """Return the columns of a suite that grow or fall with time by nature.

    Raises:
        ConfigInvalid: the suite is missing, or no suite.
    """
    rules = [rule for rule in read_suite(folder, name)["expectations"] if rule["type"] == GROWS]
    return tuple(sorted({rule["kwargs"]["column"] for rule in rules}))


def write_suite(folder: Path, name: str, suite: dict[str, Any]) -> None:
    """Replace a suite's file, whole or not at all.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: the folder cannot be written.
    """
    path = folder / "expectations" / f"{name}.json"
    try:
        write_whole({path: dump_suite(suite)}, PUBLIC)
    except OSError as error:
        raise explain_os_error(error, str(path)) from error


def dump_suite(suite: dict[str, Any]) -> str:
    """Return a suite as JSON text with sorted keys, so that a change is a small diff."""
    return json.dumps(suite, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def list_files(service: str, configs: Path, suites: Path) -> tuple[Path, Path]:
    """Return the paths of a service's configuration and suite."""
    return configs / f"{service}.yaml", suites / "expectations" / f"{service}.json"


def check_free(service: str, configs: Path, suites: Path) -> None:
    """Check that a service's files do not exist yet.

    Raises:
        ServiceExists: a file exists; the message names it and the next step.
    """
    existing = [str(path) for path in list_files(service, configs, suites) if path.exists()]
    if existing:
        raise ServiceExists(
            f"service '{service}' has {' and '.join(existing)} already: give --service another "
            "name, or --force to overwrite them (changes made by hand are lost)"
        )


def write_service(
    service: str, document: str, rules: Sequence[DataRule], configs: Path, suites: Path
) -> tuple[Path, Path]:
    """Write a service's configuration and suite, both or neither, and return their paths.

    Raises:
        StorageFull: the disk is full.
        DataUnavailable: a folder cannot be written.
    """
    config, suite = list_files(service, configs, suites)
    try:
        texts = {suite: dump_suite(build_suite(service, rules)), config: document}
        write_whole(texts, PUBLIC)
    except OSError as error:
        raise explain_os_error(error, f"{config} and {suite}") from error
    return config, suite

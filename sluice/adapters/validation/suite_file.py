"""Reading and writing an expectation suite's file; ids of rules that stay are kept."""

import json
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sluice.adapters.storage import explain_os_error
from sluice.adapters.validation.expectations import check_suite
from sluice.adapters.whole_files import write_whole
from sluice.profile.rules import Rule


def build_suite(name: str, rules: Sequence[Rule]) -> dict[str, Any]:
    """Give a suite of the rules, each with an id of its own."""
    return {
        "expectations": [build_expectation(rule) for rule in rules],
        "id": str(uuid.uuid4()),
        "meta": {"great_expectations_version": version("great_expectations")},
        "name": name,
        "notes": None,
    }


def build_expectation(rule: Rule) -> dict[str, Any]:
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

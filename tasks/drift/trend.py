"""The trend of drift beside a version's other files in the registry."""

import json
from typing import Any

from sluice.adapters.registry.client import open_registry
from sluice.documents import DocumentInvalid, parse_json
from sluice.drift.live.report import DriftReport, TrendPoint
from sluice.drift.live.trend import describe_point, read_points, write_trend
from sluice.home import find_home

FILE = "drift/trend.json"


def read_trend(run_id: str, reference: str) -> tuple[TrendPoint, ...]:
    """Return the last windows of a version against a reference, oldest first.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    return read_points(_read(run_id), reference)


def add_window(run_id: str, report: DriftReport) -> None:
    """Add a judged window to the trend; a window is in it once.

    Raises:
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    before = _read(run_id)
    entries = [one for one in before if isinstance(one, dict)] if isinstance(before, list) else []
    found = write_trend(entries, report.reference, describe_point(report))
    text = json.dumps(found, allow_nan=False, separators=(",", ":")) + "\n"
    open_registry(find_home()).log_text(run_id, FILE, text)


def _read(run_id: str) -> Any:
    text = open_registry(find_home()).find_text(run_id, FILE)
    try:
        return parse_json(text) if text else []
    except DocumentInvalid:
        return []

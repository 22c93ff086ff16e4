"""The service's data rules on logged inputs: which rows they would have refused.

Judged are the rules on single values of features: not null, in a set, within a range. They need no
validation library. Rules on whole tables, on the target and on distributions say nothing about one
request; a rule of another kind on a feature is named as not judged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from sluice.adapters.validation.like_rules import check_values
from sluice.adapters.validation.rules import name_rule
from sluice.adapters.validation.suite_file import read_suite
from sluice.config.data import ColumnKind
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import to_frame
from sluice.documents import DocumentInvalid, parse_json
from sluice.home import SUITES
from sluice.profile.rules import DISTRIBUTION, KIND, NOT_NULL, RANGE, SET

ROW = "row"
LARGEST = 2**63
TYPES: dict[ColumnKind, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
}
"""Kinds of features whose values are judged; times have no rules on single values."""


@dataclass(frozen=True)
class RefusedInputs:
    """How many of the logged rows the data rules would have refused, by the rule's name."""

    rows: int = 0
    refused: int = 0
    rules: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    """Rules on features that are of a kind which is not judged on logged inputs."""

    def describe(self, most: int = 3) -> str:
        """Return which rules refused how many rows, the largest first; empty where none did."""
        ordered = sorted(self.rules.items(), key=lambda item: -item[1])
        words = [f"{name}: {count:,} rows" for name, count in ordered[:most]]
        more = len(ordered) - len(words)
        return ", ".join(words) + (f" and {more} rules more" if more else "")


def find_refused_inputs(
    config: ServiceConfig, inputs: Iterable[str], folder: Path = SUITES
) -> RefusedInputs:
    """Judge the inputs of answers, each one record or a list of records as JSON.

    Raises:
        ConfigInvalid: the suite is missing or cannot be read.
    """
    rules = read_suite(folder, config.data.suite)["expectations"]
    records = [record for text in inputs for record in _read_records(text)]
    broken: set[int] = set()
    counts: dict[str, int] = {}
    skipped: list[str] = []
    frames: dict[str, Any] = {}
    for rule in rules:
        kind, arguments = rule["type"], rule["kwargs"]
        column = arguments.get("column", "")
        if column not in config.data.features or kind in (KIND, DISTRIBUTION):
            continue
        type_ = TYPES.get(config.data.columns[column])
        if type_ is None or kind not in (NOT_NULL, SET, RANGE):
            skipped.append(name_rule(kind, arguments))
            continue
        if column not in frames:
            frames[column] = _make_frame(records, column, type_)
        found = check_values(kind, arguments, frames[column], ROW)
        if not found["success"]:
            rows = {int(row[ROW]) for row in found["result"]["unexpected_index_list"]}
            counts[name_rule(kind, arguments)] = len(rows)
            broken |= rows
    return RefusedInputs(len(records), len(broken), counts, tuple(skipped))


def _read_records(text: str | None) -> list[Any]:
    try:
        found = parse_json(text or "")
    except DocumentInvalid:  # a log may hold what another model took
        return []
    return [item for item in (found if isinstance(found, list) else [found]) if _is_record(item)]


def _is_record(value: Any) -> bool:
    return isinstance(value, dict)


def _make_frame(records: list[dict[str, Any]], column: str, type_: pa.DataType) -> Any:
    """Return one feature's values with their rows; a record of a version without it has none."""
    places = [place for place, record in enumerate(records) if column in record]
    values = [_fit(records[place][column], type_) for place in places]
    return to_frame(pa.table({ROW: pa.array(places, pa.int64()), column: pa.array(values, type_)}))


def _fit(value: Any, type_: pa.DataType) -> Any:
    """Return a value as the column's type: a whole number may be written with a point.

    None where it is of another type, or no such column can hold it.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if pa.types.is_boolean(type_):
        return value if isinstance(value, bool) else None
    try:
        if pa.types.is_floating(type_):
            return float(value) if is_number else None
        if pa.types.is_integer(type_):
            fits = is_number and value == int(value) and abs(value) < LARGEST
            return int(value) if fits else None
        return str(value.encode(), "utf-8") if isinstance(value, str) else None
    except (OverflowError, ValueError):  # an infinite number, or text that is not Unicode
        return None

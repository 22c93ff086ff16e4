"""Labelled traffic as rows of a service's data, each with its provenance.

A request becomes one row at most. What became of it, and which version and arm answered, is its
provenance: a table of its own beside the data, so that none of it can become a feature.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.data import ColumnKind, TrafficSource
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import compare_batch
from sluice.data.batches.refusal import ReadRows, RefusedCell
from sluice.data.schema import ARROW_TYPES, arrow_schema, convert_cells, convert_times
from sluice.documents import parse_json
from sluice.errors import DataInvalid

MOMENT = pa.timestamp("us", tz="UTC")
PROVENANCE = pa.schema(
    [
        ("request_id", pa.string()),
        ("row_id", pa.string()),
        ("became", pa.string()),
        ("exploration", pa.string()),
        ("version", pa.int64()),
        ("arm", pa.string()),
        ("arm_version", pa.int64()),
        ("experiment", pa.string()),
        ("experiment_arm", pa.string()),
        ("answered_at", MOMENT),
        ("labelled_at", MOMENT),
        ("label", pa.string()),
    ]
)
"""What is kept of each request; `label` is JSON, as the caller sent it."""
REQUEST = "id of the request"
"""The column that leads from a row to its request while rows are built; no service has it."""
ABSENT = object()
"""Stands for a cell of a column that the inputs lack; null is a value."""


class Became(StrEnum):
    """What became of a labelled request."""

    ROW = "row"
    """A row of the data, or of a batch in quarantine."""
    REFUSED = "refused"
    """A cell of it is none of its column: kept among the refused rows."""
    UNANSWERED = "no answer"
    UNREADABLE = "not readable"
    """Its inputs or its label are no JSON that rows are made of."""
    SEVERAL = "several records"
    """It asked about several records at once, and one label cannot say which it is about."""
    REPEATED = "repeated id"
    """Another row has its id, with other values."""
    CORRECTED = "corrected too late"
    """Its label changed after it had become a row, and a row never changes."""


NOTES = {
    Became.UNANSWERED: "they got no answer",
    Became.UNREADABLE: "their inputs or their label are not readable: nested too deeply, longer "
    "than is allowed, or damaged",
    Became.SEVERAL: "they ask about several records at once, which one label cannot tell apart; "
    "next: send one record a request where feedback will come",
    Became.REPEATED: "another row has their id with other values, and a row never changes; next: "
    "send an id that no other row has",
    Became.CORRECTED: "their label changed after they had become rows, and a row never changes; "
    "next: let source.maturity be longer",
}
"""Why requests are left out."""


@dataclass(frozen=True, eq=False)
class TrafficRows:
    """The rows of labelled requests, and the provenance of all of these requests."""

    rows: ReadRows
    provenance: pa.Table


@dataclass(frozen=True, eq=False)
class TakenBefore:
    """The service's table, None where there is none, and the requests that were taken before."""

    table: pa.Table | None
    requests: frozenset[str]


@dataclass(eq=False)
class _Request:
    """A labelled request, its record with label, id and time, and what becomes of it."""

    facts: Mapping[str, Any]
    record: dict[str, Any]
    became: Became = Became.ROW
    refused: RefusedCell | None = None

    @property
    def id(self) -> str:
        return str(self.facts["request_id"])

    def refuse(self, column: str, found: str, allowed: str) -> None:
        if self.refused is None:
            self.became = Became.REFUSED
            self.refused = RefusedCell(f"request {self.id}", column, found, allowed)


def build_traffic_rows(
    labelled: pa.Table, config: ServiceConfig, source: TrafficSource, before: TakenBefore
) -> TrafficRows:
    """Return the rows that labelled requests become, in the order of their answers.

    `labelled` has one row a request: `request_id`, `at`, `position`, `version`, `arm`,
    `arm_version`, `failed`, `fallback`, `experiment`, `experiment_arm`, `shadowed`, `inputs`,
    `label`, `labelled_at`.

    Raises:
        DataInvalid: all requests lack a column; or none can be read, and there is no table yet.
    """
    ordered = labelled.sort_by([("at", "ascending"), ("position", "ascending")])
    requests = [_read_request(item, config, source) for item in ordered.to_pylist()]
    name = f"traffic of {config.service}"
    _refuse_other_classes(requests, config, before)
    table = _convert([item for item in requests if item.became is Became.ROW], config, name)
    by_id = {item.id: item for item in requests}
    table = _leave_out_repeated(table, config.data.id, before, by_id)
    refused = [item for item in requests if item.refused is not None]
    cells = tuple(item.refused for item in refused if item.refused is not None)
    notes = tuple(_write_notes(requests))
    if not table.num_rows and before.table is None and requests:
        reason = cells[0].describe() if cells else notes[0]
        raise DataInvalid(f"{name}: {reason}; so in all {len(requests):,} labelled requests")
    rows = ReadRows(table.drop_columns([REQUEST]), cells, _show_refused(refused, config), notes)
    return TrafficRows(rows, _build_provenance(requests, config.data.id))


def _read_request(
    facts: Mapping[str, Any], config: ServiceConfig, source: TrafficSource
) -> _Request:
    """Return a request with its record, which has the label, the id and the time.

    One request that cannot be read takes no other with it.
    """
    data = config.data
    if facts["failed"] and not facts["fallback"]:
        return _Request(facts, {}, Became.UNANSWERED)
    try:
        inputs, label = _parse(facts["inputs"]), _parse(facts["label"])
    except ValueError:
        return _Request(facts, {}, Became.UNREADABLE)
    if isinstance(inputs, list) and len(inputs) != 1:
        return _Request(facts, {}, Became.SEVERAL)
    first = inputs[0] if isinstance(inputs, list) else inputs
    if not isinstance(first, dict):
        return _Request(facts, {}, Became.UNREADABLE)
    record = {**first, data.target: label}
    if source.id == "request":
        record[data.id] = facts["request_id"]
    if source.time == "answer":
        record[data.time] = facts["at"]
    return _Request(facts, record)


def _parse(text: str | None) -> Any:
    """Return what JSON of the log holds.

    Raises:
        ValueError: it is none, is beyond a limit, or has text that is not Unicode.
    """
    found = parse_json(text or "")
    json.dumps(found, ensure_ascii=False).encode()
    return found


def _refuse_other_classes(
    requests: Sequence[_Request], config: ServiceConfig, before: TakenBefore
) -> None:
    """Refuse a label that is neither of the two classes of a table; the data gate would halt all.

    A table of one class, or of several classes, may get another one.
    """
    if before.table is None or config.problem != "binary":
        return
    classes = pc.unique(before.table[config.data.target]).drop_null().to_pylist()
    if len(classes) != 2:
        return
    allowed = " or ".join(sorted(map(str, classes)))
    for item in requests:
        label = item.record.get(config.data.target)
        if item.became is Became.ROW and not any(label == one for one in classes):
            item.refuse(config.data.target, _describe_value(label), allowed)


def _convert(requests: Sequence[_Request], config: ServiceConfig, name: str) -> pa.Table:
    """Return the rows of records and their request ids; a record that does not fit is refused.

    Raises:
        DataInvalid: all records lack a column.
    """
    columns = {}
    for column, kind in config.data.columns.items():
        values = [item.record.get(column, ABSENT) for item in requests]
        if requests and all(value is ABSENT for value in values):
            raise _explain_absent(column, config, len(requests), name)
        columns[column], bad = _convert_column(values, column, kind, config)
        allowed = "an id" if column == config.data.id else f"{kind}, or null"
        for row in bad:
            requests[row].refuse(column, _describe_value(values[row]), allowed)
    table = pa.table(columns, schema=arrow_schema(config.data))
    ids = pa.array([item.id for item in requests], pa.string())
    kept = pa.array([item.became is Became.ROW for item in requests], pa.bool_())
    return table.append_column(REQUEST, ids).filter(kept)


def _convert_column(
    values: Sequence[Any], column: str, kind: ColumnKind, config: ServiceConfig
) -> tuple[pa.Array, list[int]]:
    """Return a column's cells, null where one does not fit, and the places of those."""
    if not values:
        return pa.array([], ARROW_TYPES[kind]), []
    bad = {row for row, value in enumerate(values) if value is ABSENT}
    if column == config.data.id:
        bad |= {row for row, value in enumerate(values) if value is None}
    cells = [None if row in bad else value for row, value in enumerate(values)]
    if kind == "timestamp":
        found, _ = convert_times(cells, config.data.reading, column)
        bad |= set(pc.indices_nonzero(found.bad).to_pylist())
        return found.moments.combine_chunks(), sorted(bad)
    try:
        return convert_cells(cells, column, kind, column), sorted(bad)
    except DataInvalid:
        parts = []
        for row, value in enumerate(cells):
            try:
                parts.append(convert_cells([value], column, kind, column))
            except DataInvalid:
                parts.append(convert_cells([None], column, kind, column))
                bad.add(row)
        return pa.concat_arrays(parts), sorted(bad)


def _leave_out_repeated(
    table: pa.Table, key: str, before: TakenBefore, requests: Mapping[str, _Request]
) -> pa.Table:
    """Return the rows without those whose id another row has, with other values.

    Of the requests that are left out it is noted what becomes of them.
    """
    seen: set[Any] = set()
    for value, request in _pair(table, key):
        if value in seen:
            requests[request].became = Became.REPEATED
        seen.add(value)
    table = _keep_rows(table, requests)
    if before.table is None:
        return table
    changed = compare_batch(table.drop_columns([REQUEST]), before.table, key).changed
    other = set(changed[key].to_pylist())
    for value, request in _pair(table, key):
        if value in other:
            known = request in before.requests
            requests[request].became = Became.CORRECTED if known else Became.REPEATED
    return _keep_rows(table, requests)


def _pair(table: pa.Table, key: str) -> Iterator[tuple[Any, str]]:
    return zip(table[key].to_pylist(), table[REQUEST].to_pylist(), strict=True)


def _keep_rows(table: pa.Table, requests: Mapping[str, _Request]) -> pa.Table:
    kept = [requests[name].became is Became.ROW for name in table[REQUEST].to_pylist()]
    return table.filter(pa.array(kept, pa.bool_()))


def _show_refused(refused: Sequence[_Request], config: ServiceConfig) -> pa.Table:
    """Return refused records as text, in the columns of the service, to be repaired."""
    columns = {
        name: pa.array([_write_cell(item.record.get(name)) for item in refused], pa.string())
        for name in config.data.columns
    }
    return pa.table(columns)


def _write_cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


def _build_provenance(requests: Sequence[_Request], key: str) -> pa.Table:
    rows = []
    for item in requests:
        row_id = item.record.get(key)
        own = {
            "row_id": None if row_id is None else str(row_id),
            "became": str(item.became),
            "exploration": find_exploration(item.facts),
            "answered_at": item.facts["at"],
        }
        rows.append({**{name: item.facts.get(name) for name in PROVENANCE.names}, **own})
    return pa.Table.from_pylist(rows, PROVENANCE)


def find_exploration(request: Mapping[str, Any]) -> str | None:
    """Return what other than the champion saw a request; None where nothing did.

    `candidate`: it answered. `shadow`: it got a copy. `experiment`: an arm of one answered.
    Several are joined by commas.
    """
    found = []
    arm = request["arm"]
    is_probe = arm == "none" and request["version"] != request["arm_version"]
    if is_probe or (arm == "candidate" and not request["fallback"]):
        found.append("candidate")
    if request["shadowed"]:
        found.append("shadow")
    if request["experiment"] is not None:
        found.append("experiment")
    return ",".join(found) or None


def _write_notes(requests: Sequence[_Request]) -> list[str]:
    """Return how many requests are left out, and why."""
    counts = Counter(item.became for item in requests)
    return [
        f"{counts[found]:,} labelled requests are left out: {words}"
        for found, words in NOTES.items()
        if counts[found]
    ]


def _describe_value(value: Any) -> str:
    """Return the type of a cell: its value is the caller's, and no log has it."""
    if value is ABSENT:
        return "nothing"
    if value is None:
        return "null"
    return {"str": "a text", "bool": "true or false", "int": "a number", "float": "a number"}.get(
        type(value).__name__, "a list or an object"
    )


def _explain_absent(column: str, config: ServiceConfig, count: int, name: str) -> DataInvalid:
    """Return the error of a column that no labelled request has, with what can be done."""
    data = config.data
    role = {data.id: " (data.id)", data.time: " (data.time)"}.get(column, "")
    steps = ["let callers send it beside the features: the model ignores what it does not know"]
    if column == data.id:
        needs = "" if data.columns[column] == "text" else ", where data.id is a text"
        steps.append(f"take the request's own id: `id: request` in `source`{needs}")
    elif column == data.time:
        needs = "" if data.columns[column] == "timestamp" else ", where data.time is a timestamp"
        steps.append(f"take the time of the answer: `time: answer` in `source`{needs}")
    return DataInvalid(
        f"{name}: column '{column}'{role}: the inputs of all {count:,} labelled requests lack it; "
        f"allowed: every column but the target; next: {'; or '.join(steps)}"
    )

"""Logged answers as rows that a reference's bins can count: features, outputs, labels.

The gateway logs inputs and outputs as JSON. Here a column has the kind that the service's file
gives it; a value of another kind is counted as unreadable, never guessed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import msgspec
import pyarrow as pa

from sluice.config.data import ColumnKind
from sluice.drift.columns import PREDICTION, SCORE, name_score
from sluice.drift.counts import ColumnCounts, WindowCounts
from sluice.drift.profile import ReferenceProfile

MOST_UNKNOWN = 100
"""Most columns that the reference does not know and that are counted by name."""
OTHERS = "(more columns)"
SHOWN = 3
"""Request ids that are named of answers that cannot be read."""
TIME = pa.timestamp("us", tz="UTC")
TYPES: dict[ColumnKind, pa.DataType] = {
    "integer": pa.float64(),
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": TIME,
}
ALLOWED: dict[ColumnKind, str] = {
    "integer": "numbers",
    "number": "numbers",
    "text": "texts",
    "boolean": "true or false",
    "timestamp": "times",
}
Record = Mapping[str, Any]


@dataclass(frozen=True)
class AnswerKinds:
    """The kinds of a service's columns, and the value of the target that counts as positive.

    `positive` is None where the problem is not binary.
    """

    columns: Mapping[str, ColumnKind]
    target: str
    positive: Any = None


@dataclass(frozen=True)
class CountedAnswers:
    """A window's rows in a reference's bins, and what of the log is not in them.

    A request of several records has a row for each. `failed` requests have inputs and no outputs.
    `unknown_labels` name the service and belong to no answer of the log.
    """

    counts: WindowCounts
    requests: int = 0
    failed: int = 0
    unreadable: int = 0
    unreadable_ids: tuple[str, ...] = ()
    unknown_labels: int = 0


@dataclass(frozen=True, eq=False)
class DecodedAnswers:
    """Rows of some answers as a table, and what was not in their columns.

    `places` has the request id of each row. `misfits` has the rows of each column whose value has
    another kind, with the kinds that were found; `absent` the columns that no row had.
    """

    table: pa.Table
    places: tuple[str, ...] = ()
    misfits: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    unknown: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    unreadable: tuple[str, ...] = ()


class AnswerCounter:
    """Counts answers in a reference's bins, part by part; memory does not grow with them."""

    def __init__(self, profile: ReferenceProfile, kinds: AnswerKinds) -> None:
        self._profile, self._kinds = profile, kinds
        self._counts = profile.count_part(None)
        self._seen: set[str] = set()
        self._requests = self._failed = self._unreadable = 0
        self._named: tuple[str, ...] = ()

    def add(self, answers: pa.Table) -> None:
        """Count some answers, as `sluice.adapters.traffic.answers` gives them."""
        found = decode_answers(self._profile, self._kinds, answers)
        counted = _leave_out_failed(self._profile, self._profile.count_part(found.table))
        counts = _move_misfits(self._profile, counted, found.misfits)
        unknown = _limit_names({**self._counts.unknown}, found.unknown)
        merged = self._counts.merge(replace(counts, unknown={}))
        self._counts = replace(merged, unknown=unknown)
        self._seen |= found.seen
        self._requests += answers.num_rows
        self._failed += found.failed
        self._unreadable += len(found.unreadable)
        self._named = (*self._named, *found.unreadable)[:SHOWN]

    def finish(self) -> CountedAnswers:
        """Return the counts; a column that no row had is not among them."""
        columns = self._profile.columns
        kept = {
            name: counts
            for name, counts in self._counts.columns.items()
            if columns[name].watched.role != "feature" or columns[name].watched.source in self._seen
        }
        return CountedAnswers(
            replace(self._counts, columns=kept),
            self._requests,
            self._failed,
            self._unreadable,
            self._named,
        )


def decode_answers(
    profile: ReferenceProfile, kinds: AnswerKinds, answers: pa.Table
) -> DecodedAnswers:
    """Return the rows of some answers: each column of the service, and the model's outputs."""
    records: list[Record] = []
    outputs: list[Record] = []
    places: list[str] = []
    unreadable: list[str] = []
    failed = 0
    for answer in answers.to_pylist():
        found = _read_records(answer["inputs"])
        if found is None:
            unreadable.append(answer["request_id"])
            continue
        given = None if answer["failed"] and not answer["fallback"] else answer["outputs"]
        failed += given is None
        answered = _read_records(given) or []
        records += found
        places += [answer["request_id"]] * len(found)
        outputs += answered if len(answered) == len(found) else [{}] * len(found)
    features = {name: kind for name, kind in kinds.columns.items() if name != kinds.target}
    columns, misfits = _make_columns(features, records)
    columns |= _make_outputs(profile, kinds, outputs)
    names = {name for record in records for name in record}
    unknown = _count_unknown(names - set(kinds.columns), records)
    table = pa.table(columns) if columns else pa.table({})
    return DecodedAnswers(
        table, tuple(places), misfits, frozenset(names), unknown, failed, tuple(unreadable)
    )


def count_labels(
    profile: ReferenceProfile, kinds: AnswerKinds, labels: Iterable[str | None]
) -> WindowCounts:
    """Return the counts of labels, given as JSON; one of another kind is unreadable."""
    values = [{kinds.target: value} for value in map(_parse, labels) if value is not _BROKEN]
    columns, misfits = _make_columns({kinds.target: kinds.columns[kinds.target]}, values)
    empty = profile.count_part(None)
    if not columns:
        return empty
    found = _move_misfits(profile, profile.count_part(pa.table(columns)), misfits)
    own = {
        name: counts
        for name, counts in found.columns.items()
        if profile.columns[name].watched.role == "label"
    }
    return replace(empty, columns=own)


class _Broken:
    """Stands for text that is no JSON."""


_BROKEN = _Broken()


def _parse(text: str | bytes | None) -> Any:
    if not text:
        return _BROKEN
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _BROKEN


def _read_records(text: str | bytes | None) -> list[Record] | None:
    """Return the records, or the answers, of a request; None where they cannot be read."""
    found = _parse(text)
    listed = found if isinstance(found, list) else [found]
    if not listed or not all(isinstance(one, dict) for one in listed):
        return None
    return listed


def _make_columns(
    kinds: Mapping[str, ColumnKind], records: Sequence[Record]
) -> tuple[dict[str, pa.Array], dict[str, tuple[int, str]]]:
    """Return the columns of records, null where a value is absent or of another kind."""
    columns: dict[str, pa.Array] = {}
    misfits: dict[str, tuple[int, str]] = {}
    for name, kind in kinds.items() if records else ():
        read = _READERS[kind]
        values: list[Any] = []
        wrong: set[str] = set()
        bad = 0
        for record in records:
            value = record.get(name)
            fitting = None if value is None else read(value)
            if value is not None and fitting is None:
                bad += 1
                wrong.add(_name_kind(value))
            values.append(fitting)
        columns[name] = pa.array(values, TYPES[kind])
        if bad:
            misfits[name] = bad, f"found {', '.join(sorted(wrong))}, allowed: {ALLOWED[kind]}"
    return columns, misfits


def _read_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _read_time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        # RFC 3339 allows `t` and `z`, and so does the gateway.
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_READERS: dict[ColumnKind, Callable[[Any], Any]] = {
    "integer": _read_number,
    "number": _read_number,
    "text": lambda value: value if isinstance(value, str) else None,
    "boolean": lambda value: value if isinstance(value, bool) else None,
    "timestamp": _read_time,
}


def _name_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "texts"
    if isinstance(value, list | dict):
        return "lists" if isinstance(value, list) else "mappings"
    return "numbers"


def _make_outputs(
    profile: ReferenceProfile, kinds: AnswerKinds, outputs: Sequence[Record]
) -> dict[str, pa.Array]:
    """Return the watched outputs of a model, null where a request has none."""
    found: dict[str, pa.Array] = {}
    answers = [one.get("prediction") for one in outputs]
    if not any(isinstance(one, str | int | float) for one in answers):
        return found
    found[PREDICTION] = _make_predictions(answers)
    given = [_read_probabilities(one) for one in outputs]
    names = {name for one in given for name in one}
    if SCORE in profile.columns:
        key = _find_key(names, kinds.positive)
        found[SCORE] = pa.array([_read_number(one.get(key)) for one in given], pa.float64())
    for name in names:
        column = name_score(_parse_name(name))
        column = column if column in profile.columns else name_score(name)
        if column in profile.columns:
            found[column] = pa.array([_read_number(one.get(name)) for one in given], pa.float64())
    return found


def _make_predictions(answers: Sequence[Any]) -> pa.Array:
    """Return predictions in one type: numbers, booleans, or texts for whatever is mixed."""
    kinds = {type(one) for one in answers if one is not None}
    if kinds <= {int, float}:
        return pa.array([_read_number(one) for one in answers], pa.float64())
    if kinds == {bool}:
        return pa.array(answers, pa.bool_())
    texts = [one if one is None or isinstance(one, str) else _write(one) for one in answers]
    return pa.array(texts, pa.string())


def _write(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _read_probabilities(output: Record) -> Record:
    found = output.get("probabilities")
    return found if isinstance(found, dict) else {}


def _find_key(names: Iterable[str], positive: Any) -> str:
    """Return the name under which an answer has the positive class's probability."""
    for name in names:
        if name == positive or _parse_name(name) == positive:
            return name
    return ""


def _parse_name(name: str) -> Any:
    """Return the class that a name stands for: names of classes that are no texts are JSON."""
    found = _parse(name)
    return found if isinstance(found, bool | int | float) else name


def _count_unknown(names: Iterable[str], records: Sequence[Record]) -> dict[str, int]:
    unknown = set(names)
    found: dict[str, int] = {}
    for record in records if unknown else ():
        for name in record:
            if name in unknown:
                found[name] = found.get(name, 0) + 1
    return found


def _limit_names(before: dict[str, int], found: Mapping[str, int]) -> dict[str, int]:
    """Return both counts together; beyond 100 names all others share one."""
    for name, rows in sorted(found.items()):
        known = name in before or len(before) < MOST_UNKNOWN
        place = name if known else OTHERS
        before[place] = before.get(place, 0) + rows
    return before


def _move_misfits(
    profile: ReferenceProfile, counts: WindowCounts, misfits: Mapping[str, tuple[int, str]]
) -> WindowCounts:
    """Return the counts with values of another kind as unreadable, which were read as null."""
    moved = {
        name: _move_rows(found, *misfits.get(profile.columns[name].watched.source, (0, "")))
        for name, found in counts.columns.items()
    }
    return replace(counts, columns=moved)


def _move_rows(counts: ColumnCounts, rows: int, words: str) -> ColumnCounts:
    if not rows or counts.nulls < rows:
        return counts
    bad = counts.unreadable + rows
    return replace(counts, nulls=counts.nulls - rows, unreadable=bad, found=words)


def _leave_out_failed(profile: ReferenceProfile, counts: WindowCounts) -> WindowCounts:
    """Return the counts without the outputs of requests that failed, which were read as null."""
    kept = {
        name: replace(found, nulls=0)
        if profile.columns[name].watched.role == "prediction"
        else found
        for name, found in counts.columns.items()
    }
    return replace(counts, columns=kept)

"""Labelled traffic: answers of a service joined with their labels, in the order of the labels.

An answer's place in this order is the moment at which its first label arrived, so that a label
that comes months late takes its place at the end and changes nothing that was read before. The
label is the last one of the answer that arrived within `maturity` of the first; a later correction
is counted by nobody here. A request id that was answered twice stands for its last answer up to an
hour after the hour of its first label. Whatever reads labels to measure a model reads them here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.traffic.log import HOUR, measure_hours, open_log
from sluice.config.service import ServiceConfig
from sluice.data.retention import format_hour
from sluice.data.traffic.feedback import take_last_answers
from sluice.home import Home

COLUMNS = (
    "request_id",
    "at",
    "position",
    "version",
    "arm",
    "arm_version",
    "failed",
    "fallback",
    "inputs",
    "outputs",
)
"""What is read of an answer."""
LABELLED_AT = "labelled_at"
"""Column of the moment at which an answer's first label arrived."""
TIME = pa.timestamp("us", tz="UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SKEW = timedelta(hours=1)
"""How far the clock of a replica may be ahead: an answer may be later than its label by it."""
_ANSWERED = timedelta(hours=1) + SKEW
"""From the start of the hour of a label: the time before which its answer was given."""


@dataclass(frozen=True, order=True)
class LabelPosition:
    """A place in the order of labels: when an answer's first label arrived, then its request id."""

    at: datetime = EPOCH
    request_id: str = ""


@dataclass(frozen=True, eq=False)
class LabelledChunk:
    """Some answers with their labels, and the labels that no answer of the log belongs to.

    `table` has `COLUMNS`, `label` (JSON) and `labelled_at`, in the order of the labels. `unknown`
    are request ids whose label names the service; `unnamed` are those whose label names no service,
    so that they may belong to another one.
    """

    table: pa.Table
    unknown: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelSource:
    """The tables of a service's traffic, and how long a label can still be corrected."""

    service: str
    answers: Path
    feedback: Path
    maturity: timedelta = timedelta()


def find_source(config: ServiceConfig, home: Home) -> LabelSource:
    """Return the tables of a service's labelled traffic, with its own maturity."""
    maturity = timedelta(hours=config.performance.maturity_hours)
    return LabelSource(config.service, home.answers(config.service), home.feedback, maturity)


def count_labelled(source: LabelSource, since: datetime | None) -> int:
    """Return how many answers of a service got a label since a moment; None: at any time.

    An answer counts once, however often it was labelled. Labels of requests that are not in the
    log do not count. Only the request ids of the labels are held in memory.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    later = pc.scalar(True)
    if since is not None:
        hour = format_hour(since.timestamp())
        later = (pc.field(HOUR) >= hour) & (pc.field("at") > pa.scalar(since, TIME))
    named = pc.unique(_read_labels(source, later)["request_id"].combine_chunks())
    found: set[str] = set()
    with open_log(source.answers) as records:
        if records is not None and len(named):
            for batch in records.to_batches(columns=["request_id"]):
                ids = batch.column(0)
                found.update(ids.filter(pc.is_in(ids, named)).to_pylist())
    return len(found)


def read_version(
    source: LabelSource, version: int, start: datetime, end: datetime, until: datetime
) -> pa.Table:
    """Return a version's answers in [start, end) whose label was final at `until`, oldest first.

    They are those of `read_labelled`, with `COLUMNS`, `unit`, `label` and `labelled_at`. Memory
    holds the labels since `start`.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    before = pc.field(HOUR) <= format_hour(until.timestamp())
    since = pc.field(HOUR) >= format_hour((start - SKEW).timestamp())
    ids = pc.unique(_read_labels(source, since & before)["request_id"].combine_chunks())
    of_ids = pc.field("request_id").isin(ids)
    labels = _choose_labels(_read_labels(source, of_ids & before), source.maturity)
    labels = labels.filter(pc.less_equal(labels["at"], pa.scalar(until - source.maturity, TIME)))
    labels = labels.rename_columns(
        [LABELLED_AT if one == "at" else one for one in labels.schema.names]
    )
    recent = pc.field(HOUR) >= format_hour(start.timestamp())
    answers = _scan_answers(source, of_ids & recent, (*COLUMNS, "unit"))
    joined = answers.join(labels, "request_id", join_type="inner")
    last_hour = pc.add(
        pc.floor_temporal(joined[LABELLED_AT], unit="hour"), pa.scalar(_ANSWERED, pa.duration("us"))
    )
    found = take_last_answers(joined.filter(pc.less(joined["at"], last_hour)))
    at = found["at"]
    inside = pc.and_(
        pc.greater_equal(at, pa.scalar(start, TIME)), pc.less(at, pa.scalar(end, TIME))
    )
    kept = found.filter(pc.and_(pc.equal(found["version"], version), inside))
    return kept.sort_by([("at", "ascending"), ("request_id", "ascending")])


def read_labelled(
    source: LabelSource, after: LabelPosition, until: datetime, rows: int = 10_000
) -> Iterator[LabelledChunk]:
    """Yield the labelled answers after a position whose labels were final at `until`, in order.

    Each answer comes once. Memory holds the labels of one hour, and `rows` answers.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    first, last = format_hour(after.at.timestamp()), format_hour(until.timestamp())
    for hour in sorted(measure_hours(source.feedback)):
        if not first <= hour <= last:
            continue
        found = _list_labels(source, hour, after, until - source.maturity)
        for start in range(0, found.num_rows, rows):
            yield _join(source, found.slice(start, rows), until)


def _list_labels(source: LabelSource, hour: str, after: LabelPosition, until: datetime) -> pa.Table:
    """Return the requests that were labelled in an hour, each with its first label of that hour."""
    table = _read_labels(source, pc.field(HOUR) == hour)
    ordered = table.sort_by([("at", "ascending"), ("request_id", "ascending")])
    grouped = ordered.group_by("request_id", use_threads=False)
    found = grouped.aggregate([("at", "first"), ("service", "first")])
    found = found.rename_columns([name.removesuffix("_first") for name in found.column_names])
    moment = pa.scalar(after.at, TIME)
    later = pc.or_(
        pc.greater(found["at"], moment),
        pc.and_(pc.equal(found["at"], moment), pc.greater(found["request_id"], after.request_id)),
    )
    final = pc.less_equal(found["at"], pa.scalar(until, TIME))
    kept = found.filter(pc.and_(later, final))
    return kept.sort_by([("at", "ascending"), ("request_id", "ascending")])


def _read_labels(source: LabelSource, condition: pc.Expression) -> pa.Table:
    """Return the labels that may be about the service: request id, time, place, label, service."""
    columns = ["request_id", "at", "position", "label", "service"]
    named = pc.field("service").isin(["", source.service]) | pc.field("service").is_null()
    with open_log(source.feedback) as dataset:
        return _plain(_scan(dataset, columns, condition & pc.field("label").is_valid() & named))


def _join(source: LabelSource, wanted: pa.Table, until: datetime) -> LabelledChunk:
    """Return the answers of requests that were labelled, without those labelled before."""
    ids = wanted["request_id"].combine_chunks()
    end = wanted["at"][-1].as_py()
    limit = min(end + source.maturity, until)
    is_wanted = pc.field("request_id").isin(ids)
    before = pc.field(HOUR) <= format_hour(limit.timestamp())
    labels = _choose_labels(_read_labels(source, is_wanted & before), source.maturity)
    # A request that was first labelled in an earlier hour was read there: this is a correction.
    fresh = wanted.join(labels, ["request_id", "at"], join_type="inner")
    answered = pc.field(HOUR) <= format_hour((end + SKEW).timestamp())
    answers = take_last_answers(_scan_answers(source, is_wanted & answered))
    joined = _name_arrival(fresh).join(answers, "request_id", join_type="left outer")
    joined = joined.sort_by([(LABELLED_AT, "ascending"), ("request_id", "ascending")])
    known = joined["version"].is_valid()
    lost = joined.filter(pc.invert(known))
    named = pc.equal(pc.fill_null(lost["service"], ""), source.service)
    kept = joined.filter(known).select([*COLUMNS, "label", LABELLED_AT])
    return LabelledChunk(
        kept,
        tuple(lost.filter(named)["request_id"].to_pylist()),
        tuple(lost.filter(pc.invert(named))["request_id"].to_pylist()),
    )


def _choose_labels(labels: pa.Table, maturity: timedelta) -> pa.Table:
    """Return the time of each request's first label, and its last label within `maturity`."""
    ordered = labels.sort_by([("at", "ascending"), ("position", "ascending")])
    first = ordered.group_by("request_id", use_threads=False).aggregate([("at", "min")])
    both = ordered.join(first, "request_id").sort_by(
        [("at", "ascending"), ("position", "ascending")]
    )
    final = pc.add(both["at_min"], pa.scalar(maturity, pa.duration("us")))
    both = both.filter(pc.less_equal(both["at"], final))
    chosen = both.group_by("request_id", use_threads=False).aggregate(
        [("at_min", "first"), ("label", "last")]
    )
    names = {"at_min_first": "at", "label_last": "label"}
    return chosen.rename_columns([names.get(name, name) for name in chosen.column_names])


def _name_arrival(labels: pa.Table) -> pa.Table:
    """Return labels whose `at` is called `labelled_at`."""
    names = [LABELLED_AT if name == "at" else name for name in labels.column_names]
    return labels.rename_columns(names)


def _scan_answers(
    source: LabelSource, condition: pc.Expression, columns: Sequence[str] = COLUMNS
) -> pa.Table:
    """Return the answers that meet a condition; a request can have several."""
    empty = pa.schema([ANSWERS.field(name) for name in columns])
    with open_log(source.answers) as dataset:
        return _plain(_scan(dataset, columns, condition, empty))


LABELS = pa.schema(
    [
        ("request_id", pa.string()),
        ("at", TIME),
        ("position", pa.int64()),
        ("label", pa.string()),
        ("service", pa.string()),
    ]
)
ANSWERS = pa.schema(
    [
        ("request_id", pa.string()),
        ("at", TIME),
        ("position", pa.int64()),
        ("version", pa.int64()),
        ("arm", pa.string()),
        ("arm_version", pa.int64()),
        ("failed", pa.bool_()),
        ("fallback", pa.bool_()),
        ("inputs", pa.string()),
        ("outputs", pa.string()),
        ("unit", pa.string()),
    ]
)


def _scan(
    dataset: Any | None, columns: Sequence[str], condition: pc.Expression, empty: pa.Schema = LABELS
) -> pa.Table:
    """Return the rows of a log that meet a condition; few batches are in memory at a time."""
    if dataset is None:
        return empty.empty_table()
    scanner = dataset.scanner(
        columns=list(columns), filter=condition, batch_readahead=2, fragment_readahead=1
    )
    return scanner.to_table()


def _plain(table: pa.Table) -> pa.Table:
    """Return a table whose text has one type, so that tables can be joined."""
    types = {"request_id": pa.string(), "at": TIME}
    fields = [
        field.with_type(types.get(field.name, _plain_type(field.type))) for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pa.string() if is_text else kind

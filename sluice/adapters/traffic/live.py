"""Reading the traffic log for monitoring: counts by minute, and the newest inputs.

Both stream, so that memory does not grow with requests.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.storage import translate_errors
from sluice.adapters.traffic.log import HOUR, open_table
from sluice.data.retention import format_hour
from sluice.home import Home
from sluice.monitoring.traffic import TrafficHistory

MICROSECONDS = 1e6
REQUEST = "request_id"
FEEDBACK = ["at", REQUEST, "rating"]
BATCH_ROWS = 50_000


def read_history(home: Home, service: str, since: datetime, until: datetime) -> TrafficHistory:
    """Return the counts of a service's answers and feedback from `since` to `until`.

    Of what is older only is known that it exists.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    history = TrafficHistory()
    answers, feedback = home.answers(service), home.feedback
    for rows in scan_records(answers, ["at", "failed", "latency_ms"], within(since, until)):
        history.add_answers(
            read_seconds(rows["at"]), _plain(rows["failed"]), _plain(rows["latency_ms"])
        )
    for rows in scan_feedback(home, service, within(since, until)):
        history.add_feedback(read_seconds(rows["at"].combine_chunks()))
    if _has_rows(answers, _before(since)):
        history.first_request = 0.0
    named = pc.field("service") == service
    if _has_rows(feedback, _before(since) & named) or any(
        len(rows) for rows in _scan_unnamed(home, service, _before(since))
    ):
        history.first_feedback = 0.0
    return history


def scan_feedback(home: Home, service: str, wanted: Any) -> Iterator[pa.Table]:
    """Yield time, request and rating of the feedback about a service's answers.

    Feedback that names no service, since no gateway remembered its answer, is found by its answer.

    Raises:
        DataUnavailable: a table cannot be reached.
    """
    named = pc.field("service") == service
    for rows in scan_records(home.feedback, FEEDBACK, wanted & named):
        yield pa.table(rows)
    yield from _scan_unnamed(home, service, wanted)


def _scan_unnamed(home: Home, service: str, wanted: Any) -> Iterator[pa.Table]:
    """Yield the feedback that names no service, and is about an answer of this one.

    A gateway that no longer remembers an answer cannot say of which service it was.
    """
    unnamed = pc.field("service").is_null() | (pc.field("service") == "")
    parts = [pa.table(rows) for rows in scan_records(home.feedback, FEEDBACK, wanted & unnamed)]
    if not parts:
        return
    found = pa.concat_tables(parts)
    ids = pc.unique(found[REQUEST].combine_chunks())
    known = [rows[REQUEST] for rows in scan_records(home.answers(service), [REQUEST], _is_in(ids))]
    if known:
        yield found.filter(pc.is_in(found[REQUEST], value_set=pa.concat_arrays(known)))


def _is_in(ids: pa.Array) -> Any:
    return pc.field(REQUEST).isin(ids)


def read_inputs(home: Home, service: str, since: datetime, until: datetime, most: int) -> list[str]:
    """Return the inputs of the newest answers from `since` to `until` as JSON, `most` at most.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    kept: list[tuple[float, str]] = []
    for rows in scan_records(home.answers(service), ["at", "inputs"], within(since, until)):
        times = read_seconds(rows["at"]).tolist()
        kept += zip(times, rows["inputs"].to_pylist(), strict=True)
        if len(kept) > 2 * most:
            kept = sorted(kept, key=itemgetter(0))[-most:]
    return [inputs for _, inputs in sorted(kept, key=itemgetter(0))[-most:]]


def count_answers(home: Home, service: str, since: datetime, until: datetime) -> int:
    """Return how many answers a service has from `since` to `until`.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    uri = home.answers(service)
    with translate_errors(uri):
        table = open_table(uri)
        if table is None:
            return 0
        return int(table.to_pyarrow_dataset().count_rows(filter=within(since, until)))


def scan_records(uri: Path, columns: list[str], wanted: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table of the log that are wanted, without the columns that it lacks.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with translate_errors(uri):
        table = open_table(uri)
        if table is None:
            return
        dataset = table.to_pyarrow_dataset()
        known = set(dataset.schema.names)
        scanner = dataset.scanner(
            [name for name in columns if name in known],
            filter=wanted,
            batch_size=BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
        )
        yield from (batch for batch in scanner.to_batches() if batch.num_rows)


def _has_rows(uri: Path, wanted: Any) -> bool:
    with translate_errors(uri):
        table = open_table(uri)
        if table is None:
            return False
        found = table.to_pyarrow_dataset().head(1, columns=["at"], filter=wanted)
        return bool(found.num_rows)


def within(since: datetime, until: datetime) -> Any:
    """Return the condition that a record is in a window; by hour first, which reads fewer files."""
    hours = (pc.field(HOUR) >= format_hour(since.timestamp())) & (
        pc.field(HOUR) <= format_hour(until.timestamp())
    )
    at = pc.field("at")
    return hours & (at >= _moment(since)) & (at < _moment(until))


def _before(since: datetime) -> Any:
    return (pc.field(HOUR) <= format_hour(since.timestamp())) & (pc.field("at") < _moment(since))


def _moment(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment.astimezone(UTC), pa.timestamp("us", tz="UTC"))


def read_seconds(column: pa.Array) -> Any:
    """Return times as seconds since 1970."""
    return column.cast(pa.int64()).to_numpy(zero_copy_only=False) / MICROSECONDS


def _plain(column: pa.Array) -> Any:
    return np.asarray(column.to_numpy(zero_copy_only=False))

"""Answers of a service in a span of time, streamed from the traffic log."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.traffic.log import HOUR, measure_hours, open_log
from sluice.data.retention import format_hour

COLUMNS = ("request_id", "failed", "fallback", "inputs", "outputs")
"""What is read of an answer."""
BATCH = 500
"""Answers that are in memory at a time; each has at most 1,000 records."""


@dataclass(frozen=True)
class AnswerSpan:
    """The answers of one version with `start` <= at < `end`."""

    version: int
    start: datetime
    end: datetime


def count_versions(uri: Path, start: datetime, end: datetime) -> dict[int, int]:
    """Return how many answers each version gave in a span of time.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    found: dict[int, int] = {}
    with open_log(uri) as dataset:
        if dataset is None:
            return found
        scanner = _scan(dataset, ["version"], _within(start, end))
        for batch in scanner.to_batches():
            for one in pc.value_counts(batch.column(0)).to_pylist():
                found[one["values"]] = found.get(one["values"], 0) + one["counts"]
    return found


def find_oldest_hour(uri: Path) -> str:
    """Return the oldest hour of the log, such as 2026-11-23T12; empty where nothing is logged.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    return min(measure_hours(uri), default="")


def read_answers(uri: Path, span: AnswerSpan, most: int = 0) -> Iterator[pa.Table]:
    """Yield the answers of a span in parts of at most 500, with `COLUMNS`.

    With `most` every second, third ... answer is left out, so that at most so many come, spread
    evenly over the span. Memory does not grow with the traffic.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with open_log(uri) as dataset:
        if dataset is None:
            return
        condition = _within(span.start, span.end) & (pc.field("version") == span.version)
        step = max(1, -(-dataset.count_rows(filter=condition) // most)) if most else 1
        seen = 0
        for batch in _scan(dataset, list(COLUMNS), condition).to_batches():
            places = pa.array(range(-seen % step, batch.num_rows, step), pa.int64())
            seen += batch.num_rows
            taken = pa.Table.from_batches([batch]).take(places)
            for start in range(0, taken.num_rows, BATCH):
                yield taken.slice(start, BATCH)


def _scan(dataset: Any, columns: list[str], condition: Any) -> Any:
    return dataset.scanner(
        columns=columns,
        filter=condition,
        batch_size=5_000,
        batch_readahead=2,
        fragment_readahead=1,
    )


def _within(start: datetime, end: datetime) -> Any:
    """Return the condition that an answer is in a span; by hour first, which reads fewer files."""
    time = pa.timestamp("us", tz="UTC")
    first, last = (format_hour(moment.timestamp()) for moment in (start, end))
    hours = (pc.field(HOUR) >= first) & (pc.field(HOUR) <= last)
    at = pc.field("at")
    return hours & (at >= pa.scalar(start, time)) & (at < pa.scalar(end, time))

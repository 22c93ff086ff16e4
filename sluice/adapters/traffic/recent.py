"""Counts of the newest records of the traffic log, for people who look at it now.

Only the hours of the window are read, and only the columns that are counted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.adapters.traffic.log import HOUR, open_log
from sluice.data.retention import format_hour


@dataclass(frozen=True)
class AnswerCount:
    """Answers of a window, and the time of the newest one in the log; None where it is empty."""

    requests: int = 0
    failures: int = 0
    newest: datetime | None = None


@dataclass(frozen=True)
class FeedbackCount:
    """Feedback with and without a label in a window, and the time of the newest label."""

    labels: int = 0
    others: int = 0
    newest: datetime | None = None


def count_recent(uri: Path, since: datetime, now: datetime) -> AnswerCount:
    """Count a service's answers with `since` <= at < `now`.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    with open_log(uri) as dataset:
        if dataset is None:
            return AnswerCount()
        rows = dataset.to_table(["at", "failed"], filter=_within(since, now))
        if rows.num_rows:
            failures = pc.sum(rows["failed"]).as_py() or 0
            return AnswerCount(rows.num_rows, int(failures), pc.max(rows["at"]).as_py())
        return AnswerCount(newest=_find_newest(dataset))


def count_feedback(
    uri: Path, oldest: datetime, since: datetime, now: datetime
) -> dict[str, FeedbackCount]:
    """Count feedback with `since` <= at < `now` by service; look for labels from `oldest` on.

    Raises:
        DataUnavailable: the table cannot be reached.
    """
    found: dict[str, FeedbackCount] = {}
    with open_log(uri) as dataset:
        if dataset is None:
            return found
        scanner = dataset.scanner(
            ["at", "service", "label"], filter=_within(oldest, now), batch_readahead=2
        )
        for batch in scanner.to_batches():
            for name, more in _count_batch(pa.Table.from_batches([batch]), since):
                found[name] = _add(found.get(name, FeedbackCount()), more)
    return found


def _count_batch(rows: pa.Table, since: datetime) -> list[tuple[str, FeedbackCount]]:
    recent = pc.greater_equal(rows["at"], _moment(since))
    labelled = pc.is_valid(rows["label"])
    columns = {
        "service": rows["service"],
        "labels": pc.and_(recent, labelled).cast(pa.int64()),
        "others": pc.and_(recent, pc.invert(labelled)).cast(pa.int64()),
        "newest": pc.if_else(labelled, rows["at"], pa.scalar(None, rows["at"].type)),
    }
    sums = [("labels", "sum"), ("others", "sum"), ("newest", "max")]
    grouped = pa.table(columns).group_by("service").aggregate(sums).to_pylist()
    return [
        (
            row["service"] or "",
            FeedbackCount(row["labels_sum"] or 0, row["others_sum"] or 0, row["newest_max"]),
        )
        for row in grouped
    ]


def _add(one: FeedbackCount, other: FeedbackCount) -> FeedbackCount:
    times = [item.newest for item in (one, other) if item.newest is not None]
    newest = max(times) if times else None
    return FeedbackCount(one.labels + other.labels, one.others + other.others, newest)


def _find_newest(dataset: Any) -> datetime | None:
    """Return the time of the newest record, from the newest hour alone."""
    import pyarrow.dataset as ds

    hours = {
        ds.get_partition_keys(fragment.partition_expression).get(HOUR)
        for fragment in dataset.get_fragments()
    }
    known = sorted(hour for hour in hours if hour)
    if not known:
        return None
    rows = dataset.to_table(["at"], filter=pc.field(HOUR) == known[-1])
    newest: datetime | None = pc.max(rows["at"]).as_py()
    return newest


def _within(since: datetime, until: datetime) -> Any:
    """Return the condition that a record is in a window; by hour first, which reads fewer files."""
    first, last = (format_hour(moment.timestamp()) for moment in (since, until))
    hours = (pc.field(HOUR) >= first) & (pc.field(HOUR) <= last)
    return hours & (pc.field("at") >= _moment(since)) & (pc.field("at") < _moment(until))


def _moment(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment.astimezone(UTC), pa.timestamp("us", tz="UTC"))

"""Rows of windows of traffic, counted in a version's bins; counts of past windows are kept.

A window that is over never changes, so that its counts are read from the state folder the next
time it is part of a reference. They can be made again from the traffic log at any time.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sluice.adapters.storage import write_whole
from sluice.adapters.traffic.answers import AnswerSpan, read_answers
from sluice.adapters.traffic.labelled import LabelPosition, LabelSource, read_labelled
from sluice.config.service import ServiceConfig
from sluice.documents import DocumentInvalid, read_json
from sluice.drift.counts import WindowCounts
from sluice.drift.joint import MOST_ROWS
from sluice.drift.live.answers import (
    AnswerCounter,
    CountedAnswers,
    count_labels,
    decode_answers,
)
from sluice.drift.live.schedule import Window
from sluice.errors import DataUnavailable
from sluice.home import find_home
from tasks.drift.references import Reference

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

FORMAT = 1
MOST_SAMPLED = 5 * MOST_ROWS
"""Rows beyond which a sample is thinned, where requests have many records."""


class LiveRows:
    """The rows of a version's answers, window by window.

    Every method raises `DataUnavailable` where the traffic log cannot be reached.
    """

    def __init__(self, config: ServiceConfig, reference: Reference, now: datetime) -> None:
        self._config, self._reference, self._now = config, reference, now
        self._home = find_home()

    def count(self, window: Window) -> CountedAnswers:
        """Return the counts of a window: features, outputs, and the labels that came in it."""
        path = self._locate(window)
        found = self._read(path)
        if found is None:
            found = self._count(window)
            settled = window.end + timedelta(seconds=self._config.drift.settle_seconds)
            if settled <= self._now:
                self._write(path, found)
        return found

    def merge(self, windows: Iterable[Window]) -> WindowCounts:
        """Return the counts of several windows together."""
        merged = self._reference.profile.count_part(None)
        for window in windows:
            merged = merged.merge(self.count(window).counts)
        return merged

    def sample(self, windows: Sequence[Window]) -> tuple["pa.Table", tuple[str, ...]]:
        """Return at most 100,000 rows of windows, spread evenly, and the request id of each."""
        import pyarrow as pa

        parts: list[pa.Table] = []
        places: list[str] = []
        for window in windows:
            most = max(MOST_ROWS // len(windows), 1)
            for answers in read_answers(self._log, self._span(window), most):
                found = decode_answers(self._reference.profile, self._reference.kinds, answers)
                if found.table.num_rows:
                    parts.append(found.table.select(self._list_sources(found.table)))
                    places += found.places
        table = pa.concat_tables(parts, promote_options="default") if parts else pa.table({})
        step = max(1, -(-table.num_rows // MOST_SAMPLED))
        if step == 1:
            return table, tuple(places)
        kept = pa.array(range(0, table.num_rows, step), pa.int64())
        return table.take(kept), tuple(places[::step])

    @property
    def _log(self) -> "Path":
        return self._home.answers(self._config.service)

    def _span(self, window: Window) -> AnswerSpan:
        return AnswerSpan(self._reference.version, window.start, window.end)

    def _list_sources(self, table: "pa.Table") -> list[str]:
        """Return the columns of features, and those that ages are counted to."""
        watched = [one.watched for one in self._reference.profile.columns.values()]
        wanted = {name for one in watched for name in (one.source, one.origin)}
        return [name for name in table.column_names if name in wanted and not name.startswith("(")]

    def _count(self, window: Window) -> CountedAnswers:
        from dataclasses import replace

        reference = self._reference
        counter = AnswerCounter(reference.profile, reference.kinds)
        for answers in read_answers(self._log, self._span(window)):
            counter.add(answers)
        found = counter.finish()
        labels, unknown = self._count_labels(window)
        return replace(found, counts=found.counts.merge(labels), unknown_labels=unknown)

    def _count_labels(self, window: Window) -> tuple[WindowCounts, int]:
        """Return the labels of the version that came in a window, and those of no known answer."""
        reference, home = self._reference, self._home
        source = LabelSource(self._config.service, self._log, home.feedback)
        counts, unknown = reference.profile.count_part(None), 0
        for chunk in read_labelled(source, LabelPosition(window.start), window.end):
            unknown += len(chunk.unknown)
            rows = chunk.table.select(["version", "label"]).to_pylist()
            labels = [row["label"] for row in rows if row["version"] == reference.version]
            counts = counts.merge(count_labels(reference.profile, reference.kinds, labels))
        return counts, unknown

    @property
    def _folder(self) -> "Path":
        bins = self._reference.profile.bins
        return self._home.drift(self._config.service) / f"v{self._reference.version}-{bins}"

    def _locate(self, window: Window) -> "Path":
        start, end = (int(moment.timestamp()) for moment in (window.start, window.end))
        return self._folder / f"{start}-{end}.json"

    def _read(self, path: "Path") -> CountedAnswers | None:
        """Return kept counts; None where there are none, or they cannot be read any more."""
        bins = {name: one.bins for name, one in self._reference.profile.columns.items()}
        try:
            found: Any = read_json(path)
            if found["format"] != FORMAT:
                return None
            counts = WindowCounts.from_dict(found["counts"], bins)
            values = {name: int(found[name]) for name in NUMBERS}
            ids = tuple(map(str, found["unreadable_ids"]))
            return CountedAnswers(counts, **values, unreadable_ids=ids)
        except (OSError, DocumentInvalid, ValueError, LookupError, TypeError):
            return None

    def _write(self, path: "Path", found: CountedAnswers) -> None:
        values: dict[str, Any] = {name: getattr(found, name) for name in NUMBERS}
        values |= {"format": FORMAT, "counts": found.counts.to_dict()}
        values["unreadable_ids"] = list(found.unreadable_ids)
        try:
            write_whole({path: json.dumps(values, allow_nan=False)})
            self._remove_old()
        except OSError as error:
            raise DataUnavailable(f"{path}: the counts of a window cannot be kept") from error

    def _remove_old(self) -> None:
        """Remove the counts of windows that no reference has any more."""
        drift = self._config.drift
        days = max(drift.trailing_days, 7.0 * drift.weeks) + drift.window_hours / 12.0 + 1.0
        limit = (self._now - timedelta(days=days)).astimezone(UTC).timestamp()
        for path in self._home.drift(self._config.service).glob("v*/*-*.json"):
            end = path.stem.rpartition("-")[2]
            if end.isdecimal() and int(end) < limit:
                path.unlink(missing_ok=True)


NUMBERS = ("requests", "failed", "unreadable", "unknown_labels")
"""Numbers of `CountedAnswers` that are kept."""

"""Windows of answers without labels: what their estimated performance says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from sluice.drift.performance.comparison import PerformanceDrop, describe_change
from sluice.drift.performance.live import LEAST_ROWS, PerformanceEstimate

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class EstimateVerdict:
    """What the estimate of one window shows; `first` and `last` are its ends."""

    version: int
    first: datetime
    last: datetime
    estimate: PerformanceEstimate

    @property
    def alarm(self) -> bool | None:
        """Whether the estimated figure has dropped; None where it was not judged."""
        return self.estimate.primary.dropped if self.estimate.primary else None

    def to_document(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        document: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return document

    def describe_event(self, number: int) -> dict[str, Any]:
        """Return the payload of the window's event: the figure that changed, and the window."""
        primary = self.estimate.primary or PerformanceDrop("", None, None, self.estimate.n)
        change = describe_change(primary.name, primary.baseline, primary.value, primary.n)
        return {
            "reason": f"estimated {change}",
            "metric": primary.name,
            "baseline": primary.baseline,
            "value": primary.value,
            "bound": primary.bound,
            "p": None,
            "estimated": True,
            "method": self.estimate.method,
            "blindness": self.estimate.blindness,
            "window": number,
            "window_start": self.first.isoformat(),
            "window_end": self.last.isoformat(),
            "rows": self.estimate.n,
            "version": self.version,
        }


_ADAPTER = TypeAdapter(EstimateVerdict)


def form_spans(
    counts: Mapping[datetime, int], until: datetime, least: int = LEAST_ROWS
) -> Sequence[tuple[datetime, datetime]]:
    """Return the spans of whole hours that have at least so many answers each, oldest first.

    `counts` are answers by the beginning of their hour. A span begins where the one before ended,
    and ends with the first hour that fills it; an hour that is not over at `until` is in none. So
    the spans depend on the log alone, whoever asks, and when.
    """
    spans, total = [], 0
    start: datetime | None = None
    for hour in sorted(counts):
        if hour + HOUR > until:
            break
        start, total = start or hour, total + counts[hour]
        if total >= least:
            spans.append((start, hour + HOUR))
            start, total = None, 0
    return spans

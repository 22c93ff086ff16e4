"""The signals that rules judge: one figure of a service over a window, or why there is none.

A part that measures something records a `Signal` in the control store (`Control.signals.record`);
the rules read nothing else.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf, isfinite

from sluice.errors import DataInvalid


class Origin(StrEnum):
    """Where a signal's figures come from."""

    TRAFFIC = "traffic"
    """Computed by the monitor for every minute of the traffic log."""
    NOW = "now"
    """Measured by the monitor at the moment of its run."""
    RECORDED = "recorded"
    """Recorded in the control store by the part that measures it, one set a window."""


@dataclass(frozen=True)
class SignalKind:
    """The written definition of a signal; `unit` is empty for a plain ratio.

    No figure of it is below `lowest` or above `highest`. `has_rows`: requests or rows are behind
    it, so that a rule can ask for a minimum.
    """

    definition: str
    unit: str
    origin: Origin
    lowest: float = 0.0
    highest: float = inf
    has_rows: bool = True
    words: str = "{figure}"
    """How a figure is told, with its unit in `figure`, and what was measured in `subject`."""

    @property
    def has_window(self) -> bool:
        """Whether a rule says over how much traffic it is computed."""
        return self.origin is Origin.TRAFFIC or self.unit == "rows"


SIGNALS: dict[str, SignalKind] = {
    "requests": SignalKind("answered requests in the window", "requests", Origin.TRAFFIC),
    "throughput-share": SignalKind(
        "answered requests a second in the window, divided by `monitoring.capacity`",
        "share",
        Origin.TRAFFIC,
        words="{figure} of capacity",
    ),
    "failure-share": SignalKind(
        "requests that the assigned version failed, divided by all answered requests; a request "
        "that the champion answered in a candidate's place counts as failed",
        "share",
        Origin.TRAFFIC,
        highest=1.0,
        words="{figure} of predictions failed",
    ),
    "latency-p50": SignalKind(
        "median of the assigned version's own time, over requests that it answered",
        "ms",
        Origin.TRAFFIC,
        words="P50 {figure}",
    ),
    "latency-p95": SignalKind(
        "95th percentile of the assigned version's own time, over requests that it answered",
        "ms",
        Origin.TRAFFIC,
        words="P95 {figure}",
    ),
    "latency-p99": SignalKind(
        "99th percentile of the assigned version's own time, over requests that it answered",
        "ms",
        Origin.TRAFFIC,
        words="P99 {figure}",
    ),
    "feedbacks": SignalKind(
        "labels, ratings and values that callers sent in the window", "feedbacks", Origin.TRAFFIC
    ),
    "refused-rows": SignalKind(
        "logged inputs that the service's data rules would have refused",
        "rows",
        Origin.NOW,
        words="{figure} break the data rules",
    ),
    "log-lag": SignalKind(
        "age of the oldest record that a gateway has spooled and the traffic log lacks",
        "s",
        Origin.NOW,
        has_rows=False,
        words="the log is {figure} behind",
    ),
    "monitor-age": SignalKind(
        "time since the monitor last ended a run",
        "s",
        Origin.NOW,
        has_rows=False,
        words="{figure} since the monitor's last run",
    ),
    "performance-drop": SignalKind(
        "fall of a metric on labelled traffic, relative to the release's figure on held-out rows; "
        "its bound is the lower end of the one-sided 95 % interval",
        "share",
        Origin.RECORDED,
        lowest=-inf,
    ),
    "feature-psi": SignalKind(
        "population stability index of a feature against the reference profile",
        "PSI",
        Origin.RECORDED,
        words="PSI of {subject} {figure}",
    ),
    "output-psi": SignalKind(
        "population stability index of the outputs against the reference profile",
        "PSI",
        Origin.RECORDED,
        words="PSI of the output {subject} {figure}",
    ),
    "judge-score": SignalKind(
        "mean score of the proved judges on sampled answers of a day",
        "",
        Origin.RECORDED,
        words="mean score {figure}",
    ),
    "grounding": SignalKind(
        "mean share of an answer's numbers and names that stand in its sources, on sampled answers "
        "of a day",
        "share",
        Origin.RECORDED,
        highest=1.0,
        words="{figure} of an answer is supported by its sources",
    ),
    "guardrail-share": SignalKind(
        "requests in which a guardrail found something, in what was asked or in the answer, "
        "divided by all requests",
        "share",
        Origin.TRAFFIC,
        highest=1.0,
        words="{figure} of requests hit a guardrail",
    ),
    "token-ratio": SignalKind(
        "mean tokens a request, divided by those of the release's own evaluation of the version "
        "that answered",
        "ratio",
        Origin.TRAFFIC,
        words="{figure} the tokens of the release's evaluation",
    ),
    "spend-ratio": SignalKind(
        "what a prompt's calls cost in a day, week or month (the subject), evaluations and judges "
        "included, divided by its budget; of the budgets of keys and of users, the key and the "
        "user that spent most",
        "ratio",
        Origin.NOW,
        words="spend of the {subject} {figure} its budget",
    ),
    "thumbs-up-share": SignalKind(
        "positive ratings, divided by positive and negative ones; the last one of each answer",
        "share",
        Origin.TRAFFIC,
        highest=1.0,
        words="{figure} of ratings are positive",
    ),
    "first-token-p95": SignalKind(
        "95th percentile of the time to the first token, over streamed answers",
        "ms",
        Origin.TRAFFIC,
        words="P95 {figure}",
    ),
    "response-p95": SignalKind(
        "95th percentile of the time to the whole answer, without those that failed or whose "
        "caller went away",
        "ms",
        Origin.TRAFFIC,
        words="P95 {figure}",
    ),
    "evaluation-falls": SignalKind(
        "checks of the prompt's gates that the version that serves fails on its own evaluation "
        "set, asked anew",
        "",
        Origin.RECORDED,
        words="{figure} checks fail",
    ),
}
"""Every signal by name."""


@dataclass(frozen=True)
class Signal:
    """One figure of a service, measured over the window from `start` to `end`.

    `subject` is what exactly was measured, such as a feature or a metric; empty where there is only
    one. `value` is None where it could not be measured: then `reason` says why. `bound` is the end
    of the value's one-sided 95 % interval that is nearer to "nothing happened". `confirmed` is the
    result of the measuring part's own test, None where it has none. `n` is the number of rows or
    requests behind the value.
    """

    service: str
    name: str
    start: datetime
    end: datetime
    value: float | None
    n: int = 0
    subject: str = ""
    bound: float | None = None
    confirmed: bool | None = None
    reason: str = ""
    version: int = 0
    """Version of the model that it is about; 0 where it is about all."""
    baseline: float | None = None
    """The figure that the value is relative to, where there is one."""

    def check(self) -> "Signal":
        """Return the signal, if it is complete.

        Raises:
            DataInvalid: its name is unknown, a figure is not finite, a value or a reason is
                missing, or its window has no zone or ends before it starts.
        """
        place = f"signal {self.name} of {self.service}"
        if self.name not in SIGNALS:
            raise DataInvalid(f"{place}: no such signal; allowed: {', '.join(SIGNALS)}")
        for key in ("value", "bound", "baseline"):
            figure = getattr(self, key)
            if figure is not None and not isfinite(figure):
                raise DataInvalid(f"{place}: {key}: found {figure}; allowed: a finite number")
        if self.value is None and not self.reason:
            raise DataInvalid(f"{place}: found no value and no reason; allowed: one of them")
        if self.start.tzinfo is None or self.end.tzinfo is None or self.end < self.start:
            found = f"found {self.start} to {self.end}"
            raise DataInvalid(f"{place}: {found}; allowed: times with a zone, start before end")
        return self

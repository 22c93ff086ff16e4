"""What a window of traffic, or a file, showed beside its reference: the facts of a report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from sluice.drift.findings import ColumnDrift, DriftJudgement, Kind, Outcome, SliceDrift
from sluice.drift.joint import JointDrift
from sluice.drift.live.distributions import Bar
from sluice.drift.live.schedule import Window

ReportKind = Literal["data", "joint", "prediction", "label", "upstream"]
REPORT_KINDS: tuple[ReportKind, ...] = ("upstream", "data", "joint", "prediction", "label")
"""In the order in which a person looks at them."""
MEANINGS: Mapping[ReportKind, str] = {
    "upstream": "the pipeline before the model: columns, types, levels, columns that are all null",
    "data": "each feature by itself",
    "joint": "all features together, by a classifier of reference rows and current rows",
    "prediction": "the model's answers and their probabilities",
    "label": "the true outcomes that feedback brought",
}


@dataclass(frozen=True)
class KindReport:
    """What one kind of drift showed in the window, and its alarm after it.

    `reason` says why it was not judged; empty where it was. `recent` are the last judged windows,
    oldest first, True for one with a finding. Without a history (a file) the alarm is the window's.
    """

    kind: ReportKind
    outcome: Outcome
    reason: str = ""
    is_open: bool = False
    since: datetime | None = None
    recent: tuple[bool, ...] = ()
    change: Literal["opened", "closed", ""] = ""
    features: tuple[str, ...] = ()
    """Columns with a finding, the most important first."""
    closed_by: str = ""
    """Why the alarm closed without clean windows; empty where it did not."""


@dataclass(frozen=True)
class ColumnReport:
    """A watched column: its scores and tests, its bars before and after, its last windows.

    `trend` has the Jensen-Shannon distance of the last windows, oldest first.
    """

    found: ColumnDrift
    bars: tuple[Bar, ...] = ()
    trend: tuple[float, ...] = ()


@dataclass(frozen=True)
class TrendPoint:
    """A window of the past: the largest Jensen-Shannon distance of each kind, and of each column.

    `joint` among the kinds is the area under the ROC curve instead, 0 to 1.
    """

    end: datetime
    largest: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PerformanceView:
    """Live performance beside the release's: measured on labels, and estimated without them.

    Each figure is None where it is not known, which `notes` explains. `blindness` is what the
    estimate cannot see.
    """

    metric: str = ""
    baseline: float | None = None
    measured: float | None = None
    measured_rows: int = 0
    measured_end: datetime | None = None
    dropped: bool | None = None
    estimated: float | None = None
    estimated_baseline: float | None = None
    estimated_metric: str = ""
    estimated_rows: int = 0
    estimated_alarm: bool | None = None
    blindness: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DriftReport:
    """A judged window, or file, of a service; or a window of a prompt's inputs.

    The inputs of a prompt are compared with earlier ones, not with training rows: `data_version` is
    None, and `version` is the one that serves (0: none). Requests to every version count.
    `source` is the file's address; empty for traffic, which has a window. `rows` are those of the
    window, `reference_rows` the rows that it was compared with. `unlike` are the request ids (row
    numbers of a file, from 0) that look least like the reference, with their scores, 0 to 1.
    """

    service: str
    version: int
    data_version: int | None
    reference: str
    window: Window | None
    source: str
    rows: int
    reference_rows: int
    kinds: tuple[KindReport, ...]
    columns: Mapping[Kind, tuple[ColumnReport, ...]]
    slices: tuple[SliceDrift, ...] = ()
    joint: JointDrift | None = None
    unlike: tuple[tuple[str, float], ...] = ()
    unknown: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    trend: tuple[TrendPoint, ...] = ()
    performance: PerformanceView | None = None
    notes: tuple[str, ...] = ()

    @property
    def alarmed(self) -> tuple[KindReport, ...]:
        """The kinds whose alarm is open."""
        return tuple(one for one in self.kinds if one.is_open)

    @property
    def outcome(self) -> Outcome:
        """The report's outcome: an open alarm, else clean, else nothing could be judged."""
        if self.alarmed:
            return "alarm"
        judged = any(one.outcome != "not judged" for one in self.kinds)
        return "clean" if judged else "not judged"

    @property
    def is_of_prompt(self) -> bool:
        """Whether these are the inputs of a prompt."""
        return self.data_version is None

    @property
    def has_history(self) -> bool:
        """Whether the alarms follow from several windows, not from this one alone."""
        return any(one.recent or one.since or one.change for one in self.kinds)

    @property
    def subject(self) -> str:
        """The rows for people: the window, or the file."""
        if self.source:
            return f"{self.source}, {self.window.describe()}" if self.window else self.source
        return self.window.describe() if self.window else "no window"

    def find_kind(self, kind: str) -> KindReport | None:
        """Return what one kind showed; None where it was not looked at."""
        return next((one for one in self.kinds if one.kind == kind), None)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; no figure is NaN or infinite."""
        window = self.window
        return {
            "service": self.service,
            "version": self.version,
            "data_version": self.data_version,
            "reference": self.reference,
            "window": [window.start.isoformat(), window.end.isoformat()] if window else None,
            "source": self.source,
            "rows": self.rows,
            "reference_rows": self.reference_rows,
            "outcome": self.outcome,
            "kinds": [_plain(asdict(one)) for one in self.kinds],
            "columns": {
                kind: [
                    {**one.found.to_dict(), "bars": [asdict(bar) for bar in one.bars]}
                    for one in columns
                ]
                for kind, columns in self.columns.items()
            },
            "slices": [
                {
                    "name": one.name,
                    "rows": one.rows,
                    "reason": one.reason,
                    "alarms": [column.column for column in one.alarmed],
                }
                for one in self.slices
            ],
            "joint": asdict(self.joint) if self.joint else None,
            "unlike": [list(one) for one in self.unlike],
            "unknown": dict(self.unknown),
            "left_out": dict(self.left_out),
            "trend": [_plain(asdict(one)) for one in self.trend],
            "performance": _plain(asdict(self.performance)) if self.performance else None,
            "notes": list(self.notes),
        }


def explain_outcome(judged: DriftJudgement) -> str:
    """Return why nothing of a kind could be judged, in the words of its first test."""
    if judged.outcome != "not judged":
        return ""
    reasons = [test.reason for one in judged.columns for test in one.tests if test.reason]
    if reasons:
        return reasons[0]
    if not judged.columns and judged.kind != "upstream":
        return f"the reference profile watches no column of the kind {judged.kind}"
    return f"not enough data: {judged.rows:,} rows" if judged.rows else "there are no rows"


def describe_finding(report: DriftReport, kind: KindReport) -> str:
    """Return what one kind found in words: `data: age (JS 0.31, significant), sex`."""
    if kind.kind == "joint":
        joint = report.joint
        if joint is None or joint.auc is None:
            return "joint"
        carried = ", ".join(one.column for one in joint.carriers[:3])
        words = f"joint: a classifier tells the rows apart, AUC {joint.auc:.3f}"
        return f"{words}, by {carried}" if carried else words
    columns = report.columns.get(kind.kind, ())
    named = [_name_column(one.found) for one in columns if one.found.alarm]
    if not named:
        words = f"not judged in this window ({kind.reason})" if kind.reason else "no finding now"
        return f"{kind.kind}: {words}, the alarm is still open"
    rest = len(named) - 3
    return f"{kind.kind}: {', '.join(named[:3])}" + (f" and {rest} more" if rest > 0 else "")


def _name_column(found: ColumnDrift) -> str:
    distance = f"JS {found.drift:.2f}, " if found.is_measured else ""
    return f"{found.column} ({', '.join(found.alarms)}, {distance}{found.severity})"


def summarise(report: DriftReport) -> str:
    """Return a report in one sentence: what is found, against what, on how many rows."""
    of = "" if report.is_of_prompt else f" of v{report.version}"
    noun = "requests" if report.is_of_prompt else "rows"
    basis = f"{report.rows:,} {noun} of {report.subject} against {report.reference}{of}"
    if report.outcome == "alarm":
        found = "; ".join(describe_finding(report, one) for one in report.alarmed)
        return f"{found}; {basis}"
    if report.outcome == "clean":
        pending = [one for one in report.kinds if one.outcome == "alarm"]
        if pending:
            found = "; ".join(describe_finding(report, one) for one in pending)
            return f"no alarm yet, one window alone: {found}; {basis}"
        return f"no drift: {basis}"
    reasons = sorted({one.reason for one in report.kinds if one.reason})
    return f"not judged: {'; '.join(reasons[:2]) or 'no rows'}; {basis}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }

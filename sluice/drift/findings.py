"""What a window's columns did: scores, tests, alarms and severities, as facts."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sluice.drift.columns import Role
from sluice.drift.scores import Scores

Kind = Literal["data", "prediction", "label", "upstream"]
Outcome = Literal["alarm", "clean", "not judged"]
Severity = Literal["small", "moderate", "significant"]
Finding = Literal[
    "distribution", "null rate", "new levels", "constant", "missing column", "type", "all null"
]
KINDS: dict[Role, Kind] = {"feature": "data", "prediction": "prediction", "label": "label"}
UPSTREAM: tuple[Finding, ...] = ("missing column", "type", "all null", "new levels")
"""Findings that only a change of the pipeline before the model explains: they open at once."""
SEVERITIES: tuple[Severity, ...] = ("small", "moderate", "significant")
PSI_LIMITS, JS_LIMITS = (0.1, 0.25), (0.1, 0.3)
"""From where a change is moderate, and above where significant."""
MOST_DRIFT = 0.8325546111576977
"""The largest Jensen-Shannon distance: the root of log 2."""


@dataclass(frozen=True)
class DriftLimits:
    """The limits of the rule.

    `alpha` is divided by the number of tests. `d` is the least Kolmogorov-Smirnov D of numbers,
    `psi` the least index of levels, `null_rate` the least difference of null rates, `new_share` the
    share of new levels, all 0 to 1; `rows` the fewest rows of either side.
    """

    alpha: float = 0.01
    d: float = 0.05
    psi: float = 0.02
    null_rate: float = 0.02
    new_share: float = 0.005
    rows: int = 500


DEFAULT_LIMITS = DriftLimits()


@dataclass(frozen=True)
class DriftTest:
    """One test of one column.

    `effect` is measured in the test's own unit and compared with `floor`; `p` is None for a test
    without chance. `reason` says why it is not judged; empty where it is.
    """

    finding: Finding
    effect: float | None = None
    floor: float | None = None
    p: float | None = None
    alarm: bool = False
    reason: str = ""
    note: str = ""

    @property
    def judged(self) -> bool:
        """Whether it could be judged."""
        return not self.reason


@dataclass(frozen=True)
class ColumnDrift:
    """What one watched column did: its scores and tests.

    `scores` is None where nothing could be compared, which a test's reason explains. `importance`
    is the source's permutation importance as a share of all, 0 to 1; None where it is not known.
    """

    column: str
    source: str
    kind: Kind
    reference_rows: int
    rows: int
    scores: Scores | None
    null_scores: Scores | None
    null_rates: tuple[float, float] | None
    tests: tuple[DriftTest, ...]
    importance: float | None = None
    new_levels: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings that are alarms."""
        return tuple(one.finding for one in self.tests if one.alarm)

    @property
    def alarm(self) -> bool:
        """Whether any test is an alarm."""
        return bool(self.alarms)

    @property
    def breaks(self) -> tuple[Finding, ...]:
        """The alarms that come from the pipeline before the model."""
        return tuple(one for one in self.alarms if one in UPSTREAM)

    @property
    def is_measured(self) -> bool:
        """Whether the distance was measured: not where the column is missing or unreadable."""
        return not any(one in ("missing column", "type") for one in self.alarms)

    @property
    def drift(self) -> float:
        """How far it moved: the larger Jensen-Shannon distance, of values or of nulls; 0 to .833.

        A column that is missing or unreadable moved as far as can be.
        """
        if not self.is_measured:
            return MOST_DRIFT
        return max((one.js for one in (self.scores, self.null_scores) if one), default=0.0)

    @property
    def severity(self) -> Severity:
        """How large the change is by the usual limits, whether or not it is an alarm."""
        if not self.is_measured:
            return "significant"
        found = [rate_scores(one) for one in (self.scores, self.null_scores) if one]
        return max(found, key=SEVERITIES.index, default="small")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; no figure is NaN or infinite."""
        values = asdict(self)
        return values | {"alarms": list(self.alarms), "severity": self.severity}


def rate_scores(scores: Scores) -> Severity:
    """Return the larger severity of the two scores, by the usual limits."""
    rates = []
    for value, (moderate, significant) in ((scores.psi, PSI_LIMITS), (scores.js, JS_LIMITS)):
        rates.append(2 if value > significant else int(value >= moderate))
    return SEVERITIES[max(rates)]


@dataclass(frozen=True)
class DriftJudgement:
    """The columns of one kind, those that matter most first.

    `tests` is the number of tests with a p-value, by which alpha was divided. `left_out` has the
    columns that are not judged at all, or not known, and why.
    """

    kind: Kind
    rows: int
    tests: int
    outcome: Outcome
    columns: tuple[ColumnDrift, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def alarmed(self) -> tuple[ColumnDrift, ...]:
        """The columns with an alarm."""
        return tuple(one for one in self.columns if one.alarm)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; no figure is NaN or infinite."""
        columns = [one.to_dict() for one in self.columns]
        return {**asdict(self), "columns": columns, "left_out": dict(self.left_out)}


@dataclass(frozen=True)
class SliceDrift:
    """The features of the rows in which a column has one value, those that matter most first.

    `reason` says why the slice is not judged; empty where it is.
    """

    name: str
    rows: int
    columns: tuple[ColumnDrift, ...] = ()
    reason: str = ""

    @property
    def alarmed(self) -> tuple[ColumnDrift, ...]:
        """The columns with an alarm."""
        return tuple(one for one in self.columns if one.alarm)

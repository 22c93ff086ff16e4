"""What monitors found about a service, as its status needs it."""

from dataclasses import dataclass
from datetime import datetime

from sluice.control.drift import DriftState


@dataclass(frozen=True)
class AlertStatus:
    """One rule of monitoring: `phase` is quiet, pending or firing, since `since`.

    `outcome` is the last judgement: holds, broken or not judged. `silenced_until` is None where no
    silence is in force.
    """

    service: str
    rule: str
    phase: str
    outcome: str
    reason: str
    since: datetime | None
    judged: datetime | None
    silenced_until: datetime | None
    value: float | None
    limit: float | None

    @property
    def is_firing(self) -> bool:
        """Whether the rule is broken for so long that it is an alert."""
        return self.phase == "firing"


@dataclass(frozen=True)
class PerformanceStatus:
    """The newest judged window of live performance of a version, by its number from 1.

    `value` is the window's figure of `metric`, `baseline` that of the release; None where one is
    not known.
    """

    service: str
    version: int
    number: int
    dropped: bool
    judged: datetime
    metric: str = ""
    value: float | None = None
    baseline: float | None = None
    is_estimated: bool = False
    """Whether the figure was estimated without labels."""
    recovered: bool = False
    """Whether this window ended a drop."""
    slices: tuple[str, ...] = ()
    """The slices that dropped: name, figure and that of the release, in words."""


@dataclass(frozen=True)
class RetrainingStatus:
    """A cause of retraining that is not answered, and what it waits for; empty for nothing."""

    service: str
    kind: str
    subject: str
    at: datetime
    reason: str
    waits: str
    decision: str


@dataclass(frozen=True)
class Health:
    """What monitors wrote about a service; None: the monitor has never judged it.

    That is another thing than an empty tuple: no alert fires, no alarm is open, nothing waits.
    """

    drift: tuple[DriftState, ...] | None = None
    """The newest judged window of each kind and reference."""
    alerts: tuple[AlertStatus, ...] | None = None
    performance: PerformanceStatus | None = None
    retraining: tuple[RetrainingStatus, ...] | None = None

"""The state of drift of a service: what a judged window showed, and whether its alarm is open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import isfinite

from sluice.errors import DataInvalid

KINDS = ("data", "joint", "prediction", "label", "upstream")
MAX_FEATURES = 10
"""Features of one window that the store keeps, the most important ones."""


class WindowOutcome(StrEnum):
    """What a window of one kind of drift showed."""

    ALARM = "alarm"
    CLEAN = "clean"
    NOT_JUDGED = "not judged"


class AlarmChange(StrEnum):
    """What a window changed: it opened an alarm, closed one, or did neither."""

    OPENED = "opened"
    CLOSED = "closed"
    NONE = ""


@dataclass(frozen=True)
class DriftedFeature:
    """A feature with its scores by name, such as `psi` and `js`; a missing score is None."""

    name: str
    scores: Mapping[str, float | None] = field(default_factory=dict)
    severity: str = ""
    findings: tuple[str, ...] = ()
    """Tests that alarm, such as `distribution` or `null rate`."""


@dataclass(frozen=True)
class DriftState:
    """One judged window of one kind of drift against one reference, and the alarm after it.

    `since` is when the alarm opened, or closed last; None where it never did. `recent` are the
    outcomes of the last windows that could be judged, oldest first, True for an alarm. `reason`
    says why a window was not judged, or what it showed, in a sentence.
    """

    service: str
    kind: str
    reference: str
    version: int
    start: datetime
    end: datetime
    outcome: WindowOutcome
    is_open: bool = False
    change: AlarmChange = AlarmChange.NONE
    since: datetime | None = None
    recent: tuple[bool, ...] = ()
    rows: int = 0
    features: tuple[DriftedFeature, ...] = ()
    """The most important first."""
    reason: str = ""
    report: str = ""
    """Address of the report, http or https; empty where there is none."""
    flow_run: str = ""
    """Id of the flow run that judged it."""

    def check(self) -> "DriftState":
        """Return the state if the store may hold it.

        Raises:
            DataInvalid: the kind is unknown, the window has no length, a score is not finite.
        """
        for problem in self._find_problems():
            raise DataInvalid(f"drift of {self.service}: {problem}")
        return self

    def _find_problems(self) -> Iterator[str]:
        if self.kind not in KINDS:
            yield f"kind: found {self.kind!r}; allowed: {', '.join(KINDS)}"
        if self.end <= self.start:
            yield f"window: found {self.start} to {self.end}; allowed: an end after the start"
        if len(self.features) > MAX_FEATURES:
            yield f"features: found {len(self.features)}; allowed: {MAX_FEATURES} at most"
        for feature in self.features:
            for name, score in feature.scores.items():
                if score is not None and not isfinite(score):
                    yield f"{name} of {feature.name}: found {score}; allowed: a number, or None"

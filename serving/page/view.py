"""What the page shows, as facts: the same for a browser and, as JSON, for a program."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving.page.story import Entry
from sluice.control.command import GivenCommand
from sluice.rollout.course import Outline


@dataclass(frozen=True)
class Bound:
    """A figure with the ends of its 95 % interval; `high` is None where it cannot be told."""

    value: float
    low: float
    high: float | None


@dataclass(frozen=True)
class ArmView:
    """One arm's requests in the stage under way, and what they were like."""

    arm: str
    version: int
    share: float
    requests: float
    failures: float
    errors: Bound | None
    p95_ms: Bound | None
    """Of answered requests."""


@dataclass(frozen=True)
class RuleView:
    """One rule: evidence and thresholds are natural logarithms; rates are shares."""

    name: str
    action: str
    evidence: float
    stops_at: float
    passing: float | None
    is_asked: bool
    """Whether the stage asks for its pass."""
    candidate: Bound | None
    champion: Bound | None
    limit: float
    waived: bool


class StageState(StrEnum):
    """Whether a stage is over, under way, where the rollout was stopped, or still to come."""

    PAST = "past"
    NOW = "now"
    STOPPED = "stopped"
    AHEAD = "ahead"


@dataclass(frozen=True)
class StageView:
    """One stage of the policy, the soak last; `least` and `most` in seconds."""

    name: str
    weight: float
    least: float
    most: float
    asks: tuple[str, ...]
    state: StageState


@dataclass(frozen=True)
class Mark:
    """Figures at one time, to be drawn: by rule against and for, by arm errors and P95."""

    at: float
    stage: str
    against: Mapping[str, float]
    in_favour: Mapping[str, float | None]


@dataclass(frozen=True)
class Span:
    """Both arms' figures over a stretch of time, candidate first."""

    at: float
    errors: tuple[float | None, float | None]
    p95_ms: tuple[float | None, float | None]


@dataclass(frozen=True)
class Choice:
    """A command, and why it makes no sense now; empty where it does."""

    action: str
    meaning: str
    why_not: str


@dataclass(frozen=True)
class RolloutView:
    """One rollout as it stood when the control store was read."""

    outline: Outline
    reason: str
    policy: str
    block: float
    stage: str
    weight: float
    blocks: int
    blocks_least: int
    blocks_most: int
    stage_since: datetime | None
    phase_since: datetime | None
    epoch: int
    stages: tuple[StageView, ...]
    arms: tuple[ArmView, ...]
    rules: tuple[RuleView, ...]
    passes_at: float
    """Evidence, a natural logarithm, at which a rule is passed."""
    disagreement: str
    marks: tuple[Mark, ...]
    spans: tuple[Span, ...]
    decisions: tuple[Entry, ...]
    """Newest first."""


@dataclass(frozen=True)
class Pulse:
    """Whether somebody is at work on the open rollout; `warning` is empty where all is well."""

    tick_age: float = 0.0
    controller: str = ""
    warning: str = ""


@dataclass(frozen=True)
class ServiceView:
    """One service: what serves, its rollouts, and the one that is looked at."""

    service: str
    champion: int | None
    candidate: int | None
    weight: float
    pulse: Pulse
    rollout: RolloutView | None
    rollouts: tuple[Outline, ...]
    """Newest first."""
    commands: tuple[GivenCommand, ...]
    """Newest first."""
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Row:
    """One service among all."""

    service: str
    champion: int | None
    candidate: int | None
    weight: float
    phase: str
    stage: str
    reason: str
    since: datetime | None
    number: int
    warning: str


@dataclass(frozen=True)
class Overview:
    """All services that have a route or had a rollout."""

    services: tuple[Row, ...]

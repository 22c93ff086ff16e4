"""What the rollout page shows, as facts: the same for a browser and, as JSON, for a program."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from math import log

from sluice.config.policy import Policy
from sluice.control.command import RecordedCommand
from sluice.rollout.facts import Arm, Facts, read_facts
from sluice.rollout.log import Record
from sluice.rollout.record import RolloutSummary
from sluice.rollout.state import Phase, Verb

MOST_POINTS = 240
"""Points that a rollout is drawn with at most; from twice as many on two become one."""
MOST_ENTRIES = 400
"""Decisions that are kept, the last ones."""
SOAK = Phase.SOAK.value


@dataclass(frozen=True)
class StageCounts:
    """Some blocks' requests of one arm."""

    requests: float = 0.0
    failures: float = 0.0
    latencies: Mapping[int, float] = field(default_factory=dict)

    def add(self, other: "StageCounts | Arm") -> "StageCounts":
        """Give both together."""
        merged = dict(self.latencies)
        for bucket, n in other.latencies.items():
            merged[bucket] = merged.get(bucket, 0.0) + n
        return StageCounts(self.requests + other.requests, self.failures + other.failures, merged)


@dataclass(frozen=True)
class Point:
    """One tick, or a few in a row: the evidence at its end, and the requests in it."""

    at: datetime
    stage: str
    tests: Mapping[str, tuple[float, float | None]]
    """By rule: evidence against the candidate, evidence for it; natural logarithms."""
    candidate: StageCounts = StageCounts()
    champion: StageCounts = StageCounts()

    def follow(self, earlier: "Point") -> "Point":
        """Give this point with the requests of the one before it."""
        candidate = earlier.candidate.add(self.candidate)
        return replace(self, candidate=candidate, champion=earlier.champion.add(self.champion))


@dataclass(frozen=True)
class DecisionEntry:
    """One decision; a hold that repeats itself is one entry."""

    at: datetime
    until: datetime
    times: int
    phase: str
    stage: str
    verb: str
    reason: str
    by: str
    """Who commanded it; empty where nobody did."""
    rule: str
    """The rule that decided; empty where none did."""

    def takes(self, other: "DecisionEntry") -> bool:
        """Whether the other is the same again, but for its figures."""
        same = (self.verb, self.phase, self.stage) == (other.verb, other.phase, other.stage)
        return same and self.verb == Verb.HOLD and _plain(self.reason) == _plain(other.reason)


class Story:
    """What was read so far of one log; records come in their order, each once."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.next_tick = 0
        self.points: list[Point] = []
        self.entries: deque[DecisionEntry] = deque(maxlen=MOST_ENTRIES)
        self.tallies: dict[str, tuple[StageCounts, StageCounts]] = {}
        """By stage: the candidate's requests, and the champion's beside them."""
        self.stage, self.phase = "", ""
        self.stage_since: datetime | None = None
        self.phase_since: datetime | None = None
        self._epoch = -1

    def add(self, at: datetime, record: Record) -> None:
        """Take one record in."""
        self.next_tick = record["tick"] + 1
        if "facts" not in record:  # the opening
            self._epoch = record["epoch"]
            return
        facts = read_facts(record["facts"])
        stage = SOAK if SOAK in (record["phase"], self.stage) else record["stage"]
        self._draw(at, record, facts, stage)
        self._note(at, record, stage)
        if stage != self.stage:
            self.stage, self.stage_since = stage, at
        if record["phase"] != self.phase:
            self.phase, self.phase_since = record["phase"], at
        self._epoch = record["epoch"]

    def _draw(self, at: datetime, record: Record, facts: Facts, stage: str) -> None:
        """Count the block where it was used; it belongs to the stage before its decision."""
        under_way = bool(self.phase) and (self.stage == SOAK or Phase(self.phase).is_staged)
        used = under_way and facts.epoch == self._epoch and facts.candidate is not None
        candidate, champion = facts.candidate or Arm(), facts.champion or Arm()
        used = used and not candidate.fault and not champion.fault
        seen = (
            (StageCounts().add(candidate), StageCounts().add(champion))
            if used
            else (StageCounts(), StageCounts())
        )
        past = self.stage or stage
        if used:
            before = self.tallies.get(past, (StageCounts(), StageCounts()))
            self.tallies[past] = before[0].add(seen[0]), before[1].add(seen[1])
        told = record["tests"] if stage != SOAK else {}  # there, alarms watch in their place
        tests = {name: (one["wealth"], one["pass"]) for name, one in told.items()}
        if record["decision"] == Verb.GO_ON and self.points:
            tests, stage = self._prove(past), past
        self.points.append(Point(at, stage, tests, *seen))
        if len(self.points) >= 2 * MOST_POINTS:
            self.points = _thin(self.points)

    def _prove(self, stage: str) -> dict[str, tuple[float, float | None]]:
        """Give the last evidence of a stage that was passed: what it asked for is at its limit."""
        asked = {name for item in self._policy.stages if item.name == stage for name in item.passes}
        wanted = log(1 / self._policy.pass_alpha)
        return {
            name: (against, max(wanted, in_favour or 0.0) if name in asked else in_favour)
            for name, (against, in_favour) in self.points[-1].tests.items()
        }

    def _note(self, at: datetime, record: Record, stage: str) -> None:
        command, verb = record["command"], record["decision"]
        by, rule = (command["by"], "") if command else ("", record["rule"])
        entry = DecisionEntry(at, at, 1, record["phase"], stage, verb, record["reason"], by, rule)
        if self.entries and self.entries[-1].takes(entry):
            last = self.entries.pop()
            entry = replace(entry, at=last.at, times=last.times + 1)
        self.entries.append(entry)


def _plain(reason: str) -> str:
    return re.sub(r"[\d.,]+", "#", reason)


def _thin(points: list[Point]) -> list[Point]:
    """Make one of two neighbours within a stage; the last point stays as it is."""
    kept: list[Point] = []
    waiting: Point | None = None
    for point in points[:-1]:
        if waiting is not None and waiting.stage == point.stage:
            kept.append(point.follow(waiting))
            waiting = None
            continue
        if waiting is not None:
            kept.append(waiting)
        waiting = point
    return [*kept, *([waiting] if waiting else []), points[-1]]


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
class CommandChoice:
    """A command, and why it makes no sense now; empty where it does."""

    action: str
    meaning: str
    why_not: str


@dataclass(frozen=True)
class RolloutView:
    """One rollout as it stood when the control store was read."""

    outline: RolloutSummary
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
    decisions: tuple[DecisionEntry, ...]
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
    rollouts: tuple[RolloutSummary, ...]
    """Newest first."""
    commands: tuple[RecordedCommand, ...]
    """Newest first."""
    choices: tuple[CommandChoice, ...]


@dataclass(frozen=True)
class ServiceRow:
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

    services: tuple[ServiceRow, ...]

"""The facts of rollouts that the status page shows, the same as HTML and as JSON.

First the facts themselves, then `LogSummary`, which condenses a decision log to them.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from math import log

from sluice.config.policy import Policy
from sluice.control.command import RecordedCommand
from sluice.experiments.record import ExperimentRecord
from sluice.rollout.facts import Arm, Facts, read_facts
from sluice.rollout.log import LogRecord
from sluice.rollout.record import RolloutSummary
from sluice.rollout.state import Phase, Verb

MAX_POINTS = 240
"""Points of a drawn rollout; at twice as many, two neighbours become one."""
MAX_ENTRIES = 400
"""Decisions that are kept; the oldest are dropped."""
SOAK = Phase.SOAK.value


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; `high` is None where it is unbounded."""

    value: float
    low: float
    high: float | None


@dataclass(frozen=True)
class ArmView:
    """One arm's requests, errors and latency in the current stage."""

    arm: str
    version: int
    share: float
    requests: float
    failures: float
    errors: Interval | None
    p95_ms: Interval | None
    """Of answered requests."""


@dataclass(frozen=True)
class RuleView:
    """One rule; evidence and threshold are natural logarithms, rates are shares."""

    name: str
    action: str
    evidence: float
    threshold: float
    """Evidence against the candidate at which the rule acts."""
    pass_evidence: float | None
    is_required: bool
    """Whether the current stage requires the rule to be passed."""
    candidate: Interval | None
    champion: Interval | None
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
    """One stage of the policy; the soak is the last one."""

    name: str
    weight: float
    min_seconds: float
    max_seconds: float
    requires: tuple[str, ...]
    """Rules that have to be passed, and `approval` where a person has to approve."""
    state: StageState


@dataclass(frozen=True)
class EvidencePoint:
    """Each rule's evidence at one time, against and for, in natural logarithms."""

    at: float
    stage: str
    against: Mapping[str, float]
    in_favour: Mapping[str, float | None]


@dataclass(frozen=True)
class ArmsPoint:
    """Both arms' error share and P95 over a stretch of time, candidate first."""

    at: float
    errors: tuple[float | None, float | None]
    p95_ms: tuple[float | None, float | None]


@dataclass(frozen=True)
class DecisionEntry:
    """One decision; holds that repeat each other are one entry."""

    at: datetime
    until: datetime
    count: int
    phase: str
    stage: str
    verb: str
    reason: str
    by: str
    """The person who commanded it; empty where nobody did."""
    rule: str
    """The rule that decided; empty where none did."""

    def repeats(self, other: "DecisionEntry") -> bool:
        """Whether both are the same hold, apart from the numbers in their reasons."""
        same = (self.verb, self.phase, self.stage) == (other.verb, other.phase, other.stage)
        is_hold = self.verb == Verb.HOLD
        return same and is_hold and _mask_numbers(self.reason) == _mask_numbers(other.reason)


@dataclass(frozen=True)
class CommandChoice:
    """A command, and the reason why it is unavailable now; empty where it is available."""

    action: str
    meaning: str
    unavailable_reason: str


@dataclass(frozen=True)
class RolloutView:
    """One rollout as it stood when the control store was read."""

    summary: RolloutSummary
    reason: str
    next_step: str
    """What a person can do now, commands in backquotes; empty where nothing is asked."""
    needs_person: bool
    """Whether only a person ends what the rollout waits for."""
    policy: str
    block: float
    stage: str
    weight: float
    blocks: int
    min_blocks: int
    max_blocks: int
    stage_since: datetime | None
    phase_since: datetime | None
    epoch: int
    stages: tuple[StageView, ...]
    arms: tuple[ArmView, ...]
    rules: tuple[RuleView, ...]
    pass_threshold: float
    """Evidence, a natural logarithm, at which a rule is passed."""
    disagreement: str
    evidence_points: tuple[EvidencePoint, ...]
    arm_points: tuple[ArmsPoint, ...]
    decisions: tuple[DecisionEntry, ...]
    """Newest first."""


@dataclass(frozen=True)
class Heartbeat:
    """Whether a controller works on the open rollout; `warning` is empty where one does."""

    tick_age: float = 0.0
    controller: str = ""
    warning: str = ""


@dataclass(frozen=True)
class ServiceView:
    """One service: its route, its rollouts, and the rollout that is shown."""

    service: str
    champion: int | None
    candidate: int | None
    weight: float
    heartbeat: Heartbeat
    rollout: RolloutView | None
    rollouts: tuple[RolloutSummary, ...]
    """Newest first."""
    commands: tuple[RecordedCommand, ...]
    """Newest first."""
    choices: tuple[CommandChoice, ...]
    conflict: str = ""
    """What control store, registry and gateways disagree on; empty where nothing."""
    experiment: ExperimentRecord | None = None
    """The experiment that was planned last."""


@dataclass(frozen=True)
class ServiceRow:
    """One service in the overview."""

    service: str
    champion: int | None
    candidate: int | None
    weight: float
    phase: str
    stage: str
    reason: str
    next_step: str
    """What a person has to do; empty where nothing waits for one."""
    since: datetime | None
    number: int
    warning: str


@dataclass(frozen=True)
class Overview:
    """All services that have a route or had a rollout."""

    services: tuple[ServiceRow, ...]


@dataclass(frozen=True)
class StageCounts:
    """One arm's requests over some blocks."""

    requests: float = 0.0
    failures: float = 0.0
    latencies: Mapping[int, float] = field(default_factory=dict)

    def add(self, other: "StageCounts | Arm") -> "StageCounts":
        """Return the sum of both."""
        merged = dict(self.latencies)
        for bucket, n in other.latencies.items():
            merged[bucket] = merged.get(bucket, 0.0) + n
        return StageCounts(self.requests + other.requests, self.failures + other.failures, merged)


ArmPair = tuple[StageCounts, StageCounts]
"""The candidate's requests, and the champion's of the same blocks."""
NO_REQUESTS: ArmPair = (StageCounts(), StageCounts())


@dataclass(frozen=True)
class LogPoint:
    """One tick, or a few in a row: the evidence at its end, and the requests in it."""

    at: datetime
    stage: str
    tests: Mapping[str, tuple[float, float | None]]
    """By rule: evidence against the candidate, evidence for it; natural logarithms."""
    candidate: StageCounts = StageCounts()
    champion: StageCounts = StageCounts()

    def merge(self, earlier: "LogPoint") -> "LogPoint":
        """Return this point with the requests of the previous point added."""
        candidate = earlier.candidate.add(self.candidate)
        return replace(self, candidate=candidate, champion=earlier.champion.add(self.champion))


class LogSummary:
    """The part of a decision log that was read so far, condensed for the page.

    Records are added in the order of their ticks, each once.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.next_tick = 0
        self.points: list[LogPoint] = []
        self.entries: deque[DecisionEntry] = deque(maxlen=MAX_ENTRIES)
        self.counts: dict[str, ArmPair] = {}
        """Both arms' requests by stage."""
        self.stage, self.phase = "", ""
        self.stage_since: datetime | None = None
        self.phase_since: datetime | None = None
        self._epoch = -1

    def add(self, at: datetime, record: LogRecord) -> None:
        """Add the next record, written at the given time."""
        self.next_tick = record["tick"] + 1
        if "facts" not in record:  # the opening
            self._epoch = record["epoch"]
            return
        verb = Verb(record["decision"])
        stage = SOAK if SOAK in (record["phase"], self.stage) else record["stage"]
        self._add_point(at, record, verb, stage)
        self._add_entry(at, record, verb, stage)
        if stage != self.stage:
            self.stage, self.stage_since = stage, at
        if record["phase"] != self.phase:
            self.phase, self.phase_since = record["phase"], at
        self._epoch = record["epoch"]

    def _add_point(self, at: datetime, record: LogRecord, verb: Verb, stage: str) -> None:
        """Add the block's requests, where the controller used them, and the evidence after it.

        A block belongs to the stage before its decision.
        """
        before = self.stage or stage
        counts = self._count_block(read_facts(record["facts"]))
        if counts is not None:
            candidate, champion = self.counts.get(before, NO_REQUESTS)
            self.counts[before] = candidate.add(counts[0]), champion.add(counts[1])
        # In the soak, alarms watch instead of the tests.
        described = record["tests"] if stage != SOAK else {}
        tests = {name: (test["wealth"], test["pass"]) for name, test in described.items()}
        if verb is Verb.ADVANCE and self.points:
            tests, stage = self._read_passed(before), before
        self.points.append(LogPoint(at, stage, tests, *(counts or NO_REQUESTS)))
        if len(self.points) >= 2 * MAX_POINTS:
            self.points = _merge_pairs(self.points)

    def _count_block(self, facts: Facts) -> ArmPair | None:
        """Return a block's requests; None where the controller could not use them."""
        under_way = bool(self.phase) and (self.stage == SOAK or Phase(self.phase).is_staged)
        if not under_way or facts.epoch != self._epoch or facts.candidate is None:
            return None
        candidate, champion = facts.candidate, facts.champion or Arm()
        if candidate.problem or champion.problem:
            return None
        return StageCounts().add(candidate), StageCounts().add(champion)

    def _read_passed(self, stage: str) -> dict[str, tuple[float, float | None]]:
        """Return the last evidence of a stage that was passed.

        Rules that the stage requires are at their threshold at least.
        """
        required = {name for one in self._policy.stages if one.name == stage for name in one.passes}
        threshold = log(1 / self._policy.pass_alpha)
        return {
            name: (against, max(threshold, in_favour or 0.0) if name in required else in_favour)
            for name, (against, in_favour) in self.points[-1].tests.items()
        }

    def _add_entry(self, at: datetime, record: LogRecord, verb: Verb, stage: str) -> None:
        command, phase, reason = record["command"], record["phase"], record["reason"]
        by, rule = (command["by"], "") if command else ("", record["rule"])
        entry = DecisionEntry(at, at, 1, phase, stage, verb.value, reason, by, rule)
        if self.entries and entry.repeats(self.entries[-1]):
            last = self.entries.pop()
            entry = replace(entry, at=last.at, count=last.count + 1)
        self.entries.append(entry)


def _mask_numbers(reason: str) -> str:
    return re.sub(r"[\d.,]+", "#", reason)


def _merge_pairs(points: list[LogPoint]) -> list[LogPoint]:
    """Merge neighbours of one stage in pairs; the last point stays as it is."""
    kept: list[LogPoint] = []
    waiting: LogPoint | None = None
    for point in points[:-1]:
        if waiting is not None and waiting.stage == point.stage:
            kept.append(point.merge(waiting))
            waiting = None
            continue
        if waiting is not None:
            kept.append(waiting)
        waiting = point
    return [*kept, *([waiting] if waiting else []), points[-1]]

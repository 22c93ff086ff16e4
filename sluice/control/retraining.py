"""What starts a retraining: causes with their life, and the decision to start, wait or ignore.

A cause is what an event says: a loss of performance, drift, an alert, or the schedule. Each has a
subject, such as `performance measured`; of a subject only the newest event counts, so that events
may come twice, late or in another order. All causes of a service that count start one release.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sluice.config.monitoring.retraining import RetrainConfig
from sluice.control.approval import write_moment

PERFORMANCE, DRIFT, ALERT, SCHEDULE = "performance", "drift", "alert", "schedule"
OPENING: Mapping[str, str] = {
    "performance.dropped": PERFORMANCE,
    "drift.detected": DRIFT,
    "alert.raised": ALERT,
    SCHEDULE: SCHEDULE,
}
"""What opens a cause, and the kind of cause."""
CLOSING: Mapping[str, str] = {
    "performance.recovered": PERFORMANCE,
    "drift.resolved": DRIFT,
    "alert.resolved": ALERT,
}
"""What closes one."""
EVENTS = (*OPENING, *CLOSING)
NAMES = {kind: event for event, kind in OPENING.items()}
RUNNING = "running"
ANSWERS = ("registered", "halted", "skipped", "cancelled")
"""Ends of a release that answer the causes which are older than its start; after any other end it
is started again when the cool-down is over."""


AHEAD = timedelta(minutes=5)
"""How far after now an event's time may be."""


class RetrainingStep(StrEnum):
    """What to do about causes that count."""

    START = "start"
    WAIT = "wait"


class WaitingFor(StrEnum):
    """What a retraining waits for."""

    NOTHING = ""
    RELEASE = "release"
    ROLLOUT = "rollout"
    COOL_DOWN = "cool-down"
    LABELS = "labels"
    ROWS = "rows"
    CHAMPION = "champion"


@dataclass(frozen=True)
class RetrainingCause:
    """The newest event of a subject, and what was decided about it.

    `at` is the time of the event, `since` the start of the window that shows it. `version` is the
    model version that it is about, None where the event names none. `waits` and `decision` are of
    the last decision.
    """

    service: str
    kind: str
    subject: str
    at: datetime
    reason: str
    version: int | None = None
    since: datetime | None = None
    is_over: bool = False
    """Whether the event says that it is over."""
    is_closed: bool = False
    """Whether nothing is left to decide: it does not count, or a release answered it."""
    waits: WaitingFor = WaitingFor.NOTHING
    decision: str = ""

    @property
    def event(self) -> str:
        """The event that opens such a cause."""
        return NAMES[self.kind]


@dataclass(frozen=True)
class Retraining:
    """A release that was started for causes; `run` is empty until Prefect has the flow run.

    `since` is the start of the earliest window that showed a cause, None where no event said it.
    """

    service: str
    at: datetime
    cause: str
    version: int | None = None
    """The champion at its start."""
    since: datetime | None = None
    run: str = ""
    number: int = 0

    @property
    def key(self) -> str:
        """The idempotency key of its flow run."""
        return f"retraining-{self.service}-{self.number}"


@dataclass(frozen=True)
class LabelCount:
    """Labels that are new since the champion's training.

    `feedback`: answers of the traffic log with a label that came since; `rows`: rows that the
    service's data has more than the champion's data version had.
    """

    feedback: int = 0
    rows: int = 0

    @property
    def found(self) -> int:
        """The larger one: labelled answers that became rows are in both."""
        return max(self.feedback, self.rows)


@dataclass(frozen=True)
class NewestRelease:
    """The release that began last, of any cause: `outcome` is one of the history's words."""

    started: datetime
    outcome: str
    cause: str = ""


@dataclass(frozen=True)
class RetrainingFacts:
    """What a decision is made from; `count_labels` is called only where the labels decide.

    `trained` is when the champion's release began; None where it is not on record. `pending`
    describes a release that was started and has not begun. `data_version` is the newest one,
    `released_data` the newest one that a release answered.
    """

    now: datetime
    champion: int | None
    trained: datetime | None
    count_labels: Callable[[], LabelCount]
    newest: NewestRelease | None = None
    pending: str = ""
    rollout: str = ""
    data_version: int | None = None
    released_data: int | None = None


@dataclass(frozen=True)
class RetrainingDecision:
    """What to do, with the reason in a sentence; `labels` where they were counted."""

    step: RetrainingStep
    reason: str
    waits: WaitingFor = WaitingFor.NOTHING
    labels: LabelCount | None = None


def bound_time(cause: RetrainingCause, now: datetime) -> RetrainingCause:
    """Return a cause with the time now where its own is far ahead: a clock was wrong.

    Else no later event of its subject would count, and no release could answer it.
    """
    return replace(cause, at=now) if cause.at > now + AHEAD else cause


def follow_cause(seen: RetrainingCause | None, new: RetrainingCause) -> RetrainingCause | None:
    """Return what to store after an event; None where it is a copy, or older than what is known.

    An event about a cause that still waits keeps the start of the first one's window.
    """
    if seen is None:
        return new
    if new.at <= seen.at:
        return None
    waits = not seen.is_closed and not seen.is_over
    if new.is_over:
        return replace(seen, at=new.at, is_over=True) if waits else new
    if waits and seen.version == new.version:
        return replace(new, since=seen.since or new.since, waits=seen.waits, decision=seen.decision)
    return new


def settle_cause(
    config: RetrainConfig, cause: RetrainingCause, facts: RetrainingFacts | None = None
) -> RetrainingCause:
    """Return a cause, closed with the reason where it does not count (any more).

    Without facts it is closed only where the configuration or the event itself says so.
    """
    objection = find_refusal(config, cause)
    if facts and not objection:
        objection = find_objection(cause, facts)
    if not objection:
        return cause
    return replace(cause, is_closed=True, waits=WaitingFor.NOTHING, decision=objection)


def find_refusal(config: RetrainConfig, cause: RetrainingCause) -> str:
    """Return why a cause cannot count under a configuration; empty where it can."""
    if cause.kind not in config.when:
        return f"`retrain` has no `{cause.kind}`, only {', '.join(config.when) or 'an empty list'}"
    rule = cause.subject.removeprefix(f"{ALERT} ")
    if cause.kind == ALERT and config.alerts and rule not in config.alerts:
        return f"`retrain.alerts` does not name the rule {rule}"
    if cause.is_over:
        return f"it was over at {write_moment(cause.at)}, before a release started"
    return ""


def find_objection(cause: RetrainingCause, facts: RetrainingFacts) -> str:
    """Return why a cause does not count (any more) by the facts; empty where it does."""
    if cause.version is not None and facts.champion not in (None, cause.version):
        return f"it is about v{cause.version}, and v{facts.champion} serves"
    if facts.trained and cause.at <= facts.trained:
        return f"v{facts.champion} was trained later, at {write_moment(facts.trained)}"
    newest = facts.newest
    if newest and newest.started >= cause.at and newest.outcome in ANSWERS:
        return (
            f"the release that began at {write_moment(newest.started)} answers it: {newest.outcome}"
        )
    return ""


def decide_retraining(config: RetrainConfig, facts: RetrainingFacts) -> RetrainingDecision:
    """Decide whether causes that count start a release now, or wait.

    The order of the checks is that of what has to happen first: something serves, nothing else is
    on its way, the cool-down is over, there is something to learn from.
    """
    hold = _find_hold(config, facts)
    return hold or _judge_labels(config, facts)


def _find_hold(config: RetrainConfig, facts: RetrainingFacts) -> RetrainingDecision | None:
    if facts.champion is None:
        return _wait(WaitingFor.CHAMPION, "nothing serves yet; a first release does not wait")
    if facts.pending:
        return _wait(WaitingFor.RELEASE, f"{facts.pending} has not begun")
    newest = facts.newest
    if newest and newest.outcome == RUNNING:
        return _wait(
            WaitingFor.RELEASE, f"the release of {write_moment(newest.started)} is running"
        )
    if facts.rollout:
        return _wait(WaitingFor.ROLLOUT, f"{facts.rollout} is under way, and decides first")
    until = newest.started + timedelta(seconds=config.cool_down) if newest else None
    if newest and until and facts.now < until:
        return _wait(
            WaitingFor.COOL_DOWN,
            f"cool-down until {write_moment(until)} after the release of "
            f"{write_moment(newest.started)} ({newest.outcome})",
        )
    return None


def _judge_labels(config: RetrainConfig, facts: RetrainingFacts) -> RetrainingDecision:
    needed = config.minimum_labels
    if needed == 0:
        return RetrainingDecision(RetrainingStep.START, "no labels are asked for")
    labels = facts.count_labels()
    said = f"{labels.found:,} of {needed:,} labels are new since v{facts.champion} was trained"
    if labels.found < needed:
        return replace(_wait(WaitingFor.LABELS, said), labels=labels)
    if facts.data_version is None or (
        facts.released_data is not None and facts.data_version <= facts.released_data
    ):
        reason = (
            f"{said}, but the data has no version after v{facts.released_data}, which was released;"
            " next: `sluice ingest` the labelled rows"
        )
        return replace(_wait(WaitingFor.ROWS, reason), labels=labels)
    return RetrainingDecision(RetrainingStep.START, said, labels=labels)


def _wait(waits: WaitingFor, reason: str) -> RetrainingDecision:
    return RetrainingDecision(RetrainingStep.WAIT, reason, waits)


def describe_causes(causes: Sequence[RetrainingCause]) -> str:
    """Return causes as the text of a release's cause, events first, each once."""
    events = " and ".join(dict.fromkeys(item.event for item in causes))
    reasons = "; ".join(item.reason for item in causes if item.reason)
    return f"{events}: {reasons}" if reasons else events


def list_events(cause: str) -> list[str]:
    """Return the events that a release's cause names, such as `performance.dropped`."""
    named = cause.partition(":")[0].split(" and ")
    return [name for name in named if name in OPENING]

"""The life of an alert: pending, firing, resolved, and silenced; each change is noted once.

    quiet -> pending -> firing -> quiet
    quiet -> pending -> quiet, where the rule held again before `for` was over

While a silence is in force an alert fires without being raised. It is raised when the silence ends,
if it still fires. So *raised* and *resolved* alternate, whatever happens in between.

A moment at which a rule could not be judged changes nothing: missing data neither raises nor
resolves an alert.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sluice.monitoring.rules import ActiveRule, Judgement, RuleOutcome

SWITCHED_OFF = "the rule is switched off"
AHEAD = timedelta(minutes=5)
"""How far after now a noted time may be; beyond it a clock was ahead when it was noted."""


class AlertPhase(StrEnum):
    """Where an alert is in its life."""

    QUIET = "quiet"
    PENDING = "pending"
    FIRING = "firing"


class ChangeKind(StrEnum):
    """One change of an alert; each is also the event `alert.KIND`."""

    PENDING = "pending"
    RAISED = "raised"
    MUTED = "muted"
    """It fires while it is silenced; it was not raised."""
    RESOLVED = "resolved"
    CLEARED = "cleared"
    """It ended without having been raised."""
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"


@dataclass(frozen=True)
class Silence:
    """A person's decision that a rule of a service raises no alert until a time."""

    service: str
    rule: str
    by: str
    reason: str
    start: datetime
    until: datetime
    number: int = 0
    """Number in the store; 0 before it is written."""
    ended_by: str = ""
    """Who ended it before its time, which is `until` then; empty if nobody did."""
    ended_reason: str = ""

    def is_active(self, at: datetime) -> bool:
        """Whether it is in force at a moment."""
        return self.start <= at < self.until


@dataclass(frozen=True)
class AlertChange:
    """One change, with all that its event says."""

    service: str
    rule: str
    kind: ChangeKind
    at: datetime
    severity: str
    reason: str
    since: datetime
    """Since when the rule is broken, or the silence is in force."""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    subjects: tuple[str, ...] = ()
    n: int = 0
    start: datetime | None = None
    """Start of the window that decided; it ends at `at`."""
    version: int = 0
    by: str = ""
    """Who silenced or unsilenced it; empty for the monitor."""
    sequence: int = 0
    """Number in the log of changes; 0 before it is written."""


@dataclass(frozen=True)
class AlertState:
    """One alert of one rule of one service.

    `judged` is the last moment that was judged: earlier ones are never judged again. `cursor` is
    the number of the last recorded signal that was judged.
    """

    service: str
    rule: str
    phase: AlertPhase = AlertPhase.QUIET
    since: datetime | None = None
    """Since when the rule is broken."""
    holds_since: datetime | None = None
    """Since when the rule of a firing alert holds again."""
    is_raised: bool = False
    """Whether a change `raised` was noted that no change `resolved` followed."""
    silence: int = 0
    """Number of the silence that was in force when it was judged last; 0: none."""
    silenced_until: datetime | None = None
    judged: datetime | None = None
    cursor: int = 0
    outcome: RuleOutcome = RuleOutcome.UNKNOWN
    reason: str = "not judged yet"
    value: float | None = None
    limit: float | None = None
    version: int = 0
    """Version that its last figure is about; 0 where it is about all."""
    revision: int = 0
    """How often it was written to the store."""

    @property
    def is_silenced(self) -> bool:
        """Whether a silence was in force when it was judged last."""
        return self.silence > 0

    @property
    def was_off(self) -> bool:
        """Whether its rule was switched off, and not judged since."""
        return self.judged is None and self.reason == SWITCHED_OFF


def find_silence(silences: Iterable[Silence], at: datetime) -> Silence | None:
    """Return the silence that is in force at a moment; the one given last counts."""
    found = [item for item in silences if item.is_active(at)]
    return max(found, key=lambda item: item.number) if found else None


def advance_alert(
    alert: AlertState,
    active: ActiveRule,
    judgement: Judgement,
    silences: Sequence[Silence] = (),
    now: datetime | None = None,
) -> tuple[AlertState, list[AlertChange]]:
    """Return the alert after one more moment, and the changes that it brought.

    A moment that is not after the last judged one changes nothing. A silence counts that is in
    force at the moment, or else `now`, when it is judged: nobody wants to be called meanwhile.
    """
    if alert.judged is not None and judgement.at <= alert.judged:
        return alert, []
    silence = find_silence(silences, judgement.at)
    silence = find_silence(silences, now) if silence is None and now else silence
    alert, changes = _follow_silence(alert, active, judgement, silence, silences)
    alert = replace(
        alert,
        judged=judgement.at,
        outcome=judgement.outcome,
        reason=judgement.reason,
        value=judgement.value,
        limit=judgement.limit,
        version=judgement.version,
    )
    step = {RuleOutcome.BROKEN: _follow_broken, RuleOutcome.HOLDS: _follow_holding}
    if move := step.get(judgement.outcome):
        alert, more = move(alert, active, judgement)
        changes += more
    alert, more = _raise_unsilenced(alert, active, judgement)
    return alert, changes + more


def end_silence(
    alert: AlertState, active: ActiveRule, silences: Sequence[Silence], now: datetime
) -> tuple[AlertState, list[AlertChange]]:
    """Return the alert after a silence that is over, although no moment was judged since.

    A rule on recorded figures may have none for days; if it was broken last, the alert is raised.
    """
    if not alert.is_silenced or find_silence(silences, now) is not None:
        return alert, []
    last = Judgement(alert.outcome, now, alert.reason, alert.value, alert.limit)
    alert, changes = _follow_silence(alert, active, last, None, silences)
    alert, more = _raise_unsilenced(alert, active, last)
    return alert, changes + more


def close_alert(
    alert: AlertState, severity: str, at: datetime, reason: str = SWITCHED_OFF
) -> tuple[AlertState, list[AlertChange]]:
    """End an alert whose figure no longer counts; a raised one is resolved."""
    if alert.phase is AlertPhase.QUIET:
        return alert, []
    kind = ChangeKind.RESOLVED if alert.is_raised else ChangeKind.CLEARED
    since, version = alert.since or at, alert.version
    change = AlertChange(
        alert.service, alert.rule, kind, at, severity, reason, since, version=version
    )
    return _end(replace(alert, reason=reason)), [change]


def leave_version(
    alert: AlertState, severity: str, at: datetime, reason: str
) -> tuple[AlertState, list[AlertChange]]:
    """End an alert about a version that no longer serves; the next figure is another version's."""
    ended, changes = close_alert(alert, severity, at, reason)
    unknown = RuleOutcome.UNKNOWN
    left = replace(ended, reason=reason, outcome=unknown, value=None, limit=None, version=0)
    return left, changes


def forget_judged(alert: AlertState) -> AlertState:
    """Return a quiet alert whose rule is switched off; judged again, it begins with that moment."""
    return replace(alert, judged=None, outcome=RuleOutcome.UNKNOWN, reason=SWITCHED_OFF)


def bound_times(alert: AlertState, now: datetime) -> AlertState:
    """Return an alert without times after now: a clock was ahead when it was judged.

    Else its rule would not be judged again before that time.
    """
    if alert.judged is None or alert.judged <= now + AHEAD:
        return alert
    since, holds_since = alert.since, alert.holds_since
    return replace(
        alert,
        judged=None,
        since=min(since, now) if since else None,
        holds_since=min(holds_since, now) if holds_since else None,
    )


def write_state(alert: AlertState) -> dict[str, Any]:
    """Return an alert's state as JSON values, without its service and rule."""
    values = asdict(alert)
    for key in ("service", "rule", "revision"):
        values.pop(key)
    return {key: _write(value) for key, value in values.items()}


def read_state(service: str, rule: str, values: dict[str, Any], revision: int = 0) -> AlertState:
    """Return the state that `write_state` wrote; keys of a newer version are left out."""
    known = {key: item for key, item in values.items() if key in AlertState.__dataclass_fields__}
    for key in ("since", "holds_since", "silenced_until", "judged"):
        known[key] = datetime.fromisoformat(known[key]) if known.get(key) else None
    known["phase"], known["outcome"] = AlertPhase(known["phase"]), RuleOutcome(known["outcome"])
    return AlertState(service, rule, **known, revision=revision)


def write_change(change: AlertChange) -> dict[str, Any]:
    """Return a change as JSON values, without its number."""
    values = asdict(change)
    values.pop("sequence")
    return {key: _write(value) for key, value in values.items()}


def read_change(values: dict[str, Any], sequence: int) -> AlertChange:
    """Return the change that `write_change` wrote."""
    known = {key: item for key, item in values.items() if key in AlertChange.__dataclass_fields__}
    for key in ("at", "since", "start"):
        known[key] = datetime.fromisoformat(known[key]) if known.get(key) else None
    known["kind"], known["subjects"] = ChangeKind(known["kind"]), tuple(known["subjects"])
    return AlertChange(**known, sequence=sequence)


def _write(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _follow_silence(
    alert: AlertState,
    active: ActiveRule,
    judgement: Judgement,
    silence: Silence | None,
    silences: Sequence[Silence],
) -> tuple[AlertState, list[AlertChange]]:
    if (silence.number if silence else 0) == alert.silence:
        return alert, []
    if silence is not None:
        reason = f"until {silence.until:%Y-%m-%d %H:%M} UTC: {silence.reason}"
        change = _note(alert, active, judgement, ChangeKind.SILENCED, reason)
        change = replace(change, by=silence.by, since=silence.start)
        return replace(alert, silence=silence.number, silenced_until=silence.until), [change]
    ended = next((item for item in silences if item.number == alert.silence), None)
    reason = ended.ended_reason if ended and ended.ended_by else "its time is over"
    change = _note(alert, active, judgement, ChangeKind.UNSILENCED, reason)
    change = replace(change, by=ended.ended_by if ended else "")
    return replace(alert, silence=0, silenced_until=None), [change]


def _follow_broken(
    alert: AlertState, active: ActiveRule, judgement: Judgement
) -> tuple[AlertState, list[AlertChange]]:
    alert = replace(alert, holds_since=None, since=alert.since or judgement.at)
    waits = (judgement.at - (alert.since or judgement.at)).total_seconds() < active.rule.for_
    if alert.phase is AlertPhase.FIRING or (waits and alert.phase is AlertPhase.PENDING):
        return alert, []
    if waits:
        alert = replace(alert, phase=AlertPhase.PENDING)
        return alert, [_note(alert, active, judgement, ChangeKind.PENDING)]
    alert = replace(alert, phase=AlertPhase.FIRING, is_raised=not alert.is_silenced)
    kind = ChangeKind.MUTED if alert.is_silenced else ChangeKind.RAISED
    return alert, [_note(alert, active, judgement, kind)]


def _follow_holding(
    alert: AlertState, active: ActiveRule, judgement: Judgement
) -> tuple[AlertState, list[AlertChange]]:
    if alert.phase is AlertPhase.QUIET:
        return alert, []
    if alert.phase is AlertPhase.PENDING:
        return _end(alert), [_note(alert, active, judgement, ChangeKind.CLEARED)]
    holds_since = alert.holds_since or judgement.at
    if (judgement.at - holds_since).total_seconds() < active.rule.keep_firing_for:
        return replace(alert, holds_since=holds_since), []
    kind = ChangeKind.RESOLVED if alert.is_raised else ChangeKind.CLEARED
    return _end(alert), [_note(alert, active, judgement, kind)]


def _raise_unsilenced(
    alert: AlertState, active: ActiveRule, judgement: Judgement
) -> tuple[AlertState, list[AlertChange]]:
    """Raise an alert that began while it was silenced, once it no longer is."""
    is_broken = judgement.outcome is RuleOutcome.BROKEN
    if (
        alert.phase is not AlertPhase.FIRING
        or alert.is_raised
        or alert.is_silenced
        or not is_broken
    ):
        return alert, []
    alert = replace(alert, is_raised=True)
    return alert, [_note(alert, active, judgement, ChangeKind.RAISED)]


def _end(alert: AlertState) -> AlertState:
    return replace(alert, phase=AlertPhase.QUIET, since=None, holds_since=None, is_raised=False)


def _note(
    alert: AlertState,
    active: ActiveRule,
    judgement: Judgement,
    kind: ChangeKind,
    reason: str = "",
) -> AlertChange:
    return AlertChange(
        service=alert.service,
        rule=alert.rule,
        kind=kind,
        at=judgement.at,
        severity=active.rule.severity,
        reason=reason or judgement.reason,
        since=alert.since or judgement.at,
        value=judgement.value,
        limit=judgement.limit,
        unit=active.unit,
        subjects=judgement.subjects,
        n=judgement.n,
        start=judgement.start,
        version=judgement.version,
    )


def follow_steps(
    alert: AlertState,
    active: ActiveRule,
    judgements: Iterable[Judgement],
    silences: Sequence[Silence] = (),
    now: datetime | None = None,
) -> tuple[AlertState, list[AlertChange]]:
    """Return the alert after several moments, in the order of time, with all changes."""
    changes: list[AlertChange] = []
    for judgement in judgements:
        alert, more = advance_alert(alert, active, judgement, silences, now)
        changes += more
    return alert, changes

"""Judging rules and writing alerts: each moment is judged once, whoever comes first.

A rule judges every minute since the last one that was judged, so that a monitor that was down finds
what happened meanwhile. Two monitors at once write the same alert only from the revision that they
have read: the second one finds nothing left to judge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sluice.adapters.control.store import Control
from sluice.monitoring.alerts import (
    AlertChange,
    AlertPhase,
    AlertState,
    Silence,
    bound_times,
    close_alert,
    end_silence,
    follow_steps,
    forget_judged,
    leave_version,
)
from sluice.monitoring.rules import ActiveRule, group_signals, judge_rule
from sluice.monitoring.signals import Origin, Signal
from tasks.monitoring.signals import MONITORED, Measurer, measure_monitor_age

MONITOR_RULE = "monitor-silent"
"""The rule that the keeper judges, since no monitor can say that it does not run."""
SHOWN = ("refused-rows", "spend-ratio")
"""The signals of this moment that the gateways show among their metrics."""
SHOWN_TRAFFIC = ("token-ratio", "thumbs-up-share")
"""The signals of traffic that no counter of the gateways has: the newest is shown, too."""
TRIES = 5
"""How often an alert is read anew after another monitor has written it."""
STEP_AFTER = timedelta(microseconds=1)
Moment = tuple[datetime, list[Signal]]
"""When a rule is judged, and the signals of the window that ends there."""


@dataclass(frozen=True)
class Due:
    """What is to be judged of an alert: its moments that were not, and its cursor after them.

    `alert` is the one to judge from, and `ended` the changes that led to it: an alert about nothing
    that serves ends first.
    """

    alert: AlertState
    moments: list[Moment]
    cursor: int
    ended: tuple[AlertChange, ...] = ()


FindDue = Callable[[AlertState], Due]


def follow_rule(
    control: Control, measurer: Measurer, active: ActiveRule, silences: Sequence[Silence]
) -> list[AlertChange]:
    """Judge one rule of a service at every moment that it has not judged yet.

    Raises:
        ConfigInvalid: the service's suite cannot be read.
        Fault: the control store or a table cannot be reached.
    """

    def find(alert: AlertState) -> Due:
        if active.origin is Origin.NOW:
            found = measurer.measure_now(active, alert.judged)
            if active.rule.signal in SHOWN:
                control.signals.record(found)
            return Due(alert, [(found[0].end, found)] if found else [], alert.cursor)
        if active.origin is Origin.RECORDED:
            return _take_recorded(measurer, active, alert)
        moments = measurer.list_moments(alert.judged)
        if not moments:
            return Due(alert, [], alert.cursor)
        since = moments[0] - timedelta(seconds=active.rule.window)
        view = measurer.view_traffic(since, active.rule.signal)
        measured: list[Moment] = [(moment, [view.measure(active, moment)]) for moment in moments]
        if active.rule.signal in SHOWN_TRAFFIC:
            control.signals.record(measured[-1][1])
        return Due(alert, measured, alert.cursor)

    return write_moments(control, measurer.config.service, active, silences, find, measurer.now)


def _leave_unserved(
    measurer: Measurer, active: ActiveRule, alert: AlertState
) -> tuple[AlertState, list[AlertChange]]:
    """End an alert whose last figure is about a version that no longer serves."""
    if not alert.version or measurer.route is None or measurer.concerns(alert.version):
        return alert, []
    serves = measurer.route.champion
    reason = f"v{alert.version} no longer serves; v{serves} does, and has no figure of it yet"
    return leave_version(alert, active.rule.severity, measurer.now, reason)


def _take_recorded(measurer: Measurer, active: ActiveRule, alert: AlertState) -> Due:
    """Return the recorded signals that were not judged, by window; a late one counts as now.

    Those of a version that no longer serves are left out. A rule that was switched off meanwhile
    begins with the newest window.
    """
    log, (alert, ended) = measurer.control.signals, _leave_unserved(measurer, active, alert)
    found = log.list_since(alert.service, active.rule.signal, alert.cursor)
    cursor = max((number for number, _ in found), default=alert.cursor)
    counted = (signal for _, signal in found if measurer.concerns(signal.version))
    windows = list(group_signals(counted).items())
    if alert.was_off:
        windows = windows[-1:]
    moments: list[Moment] = []
    last = alert.judged
    for end, signals in windows:
        at = end if last is None or end > last else last + STEP_AFTER
        moments.append((at, signals))
        last = at
    return Due(alert, moments, cursor, tuple(ended))


def write_moments(
    control: Control,
    service: str,
    active: ActiveRule,
    silences: Sequence[Silence],
    find: FindDue,
    now: datetime,
) -> list[AlertChange]:
    """Judge what `find` returns for an alert and write it; again if another monitor was first."""
    for _ in range(TRIES):
        before = control.alerts.find(service, active.name)
        due = find(bound_times(before, now))
        judgements = [judge_rule(active, signals, at) for at, signals in due.moments]
        after, changes = follow_steps(due.alert, active, judgements, silences, now)
        if active.origin is Origin.RECORDED:
            after, more = end_silence(after, active, silences, now)
            changes += more
        changes = [*due.ended, *changes]
        is_same = (due.alert.version, due.cursor) == (before.version, before.cursor)
        if not due.moments and not changes and is_same:
            return []
        if control.alerts.advance(before, replace(after, cursor=due.cursor), changes):
            return changes
    return []  # others judge it all the time; nothing is left to this one


def judge_monitor(
    control: Control, service: str, active: ActiveRule, now: datetime
) -> list[AlertChange]:
    """Judge whether the monitor runs.

    Raises:
        ControlUnavailable: the control store does not answer.
    """
    signal = measure_monitor_age(control, service, now)
    silences = [item for item in control.alerts.list_silences(service) if item.rule == active.name]
    return write_moments(
        control,
        service,
        active,
        silences,
        lambda alert: Due(alert, [(now, [signal])], alert.cursor),
        now,
    )


def mark_monitored(control: Control, service: str, now: datetime) -> None:
    """Note that the monitor looks at a service; the gateways show when it last did."""
    seen = control.watermarks.find(service, MONITORED)
    control.watermarks.move(seen, seen.settle(now.isoformat()))
    control.signals.record([Signal(service, "monitor-age", now, now, 0.0)])


def close_others(
    control: Control, service: str, rules: Mapping[str, ActiveRule], now: datetime
) -> list[AlertChange]:
    """End the alerts of rules that were removed or switched off.

    If one is switched on again, the time between is not judged.

    Raises:
        ControlUnavailable: the control store does not answer.
    """
    closed: list[AlertChange] = []
    for alert in control.alerts.list_alerts(service):
        is_done = alert.phase is AlertPhase.QUIET and alert.judged is None
        if alert.rule not in rules and not is_done:
            after, changes = close_alert(alert, "info", now)
            if control.alerts.advance(alert, forget_judged(after), changes):
                closed += changes
    return closed

"""The alarm of each kind of drift after a window, from the state before it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sluice.config.monitoring.drift import DriftConfig
from sluice.control.drift import (
    MAX_FEATURES,
    AlarmChange,
    DriftedFeature,
    DriftState,
    WindowOutcome,
)
from sluice.drift.findings import ColumnDrift, DriftJudgement, Kind
from sluice.drift.joint import JointDrift
from sluice.drift.live.report import (
    REPORT_KINDS,
    DriftReport,
    KindReport,
    ReportKind,
    describe_finding,
    explain_outcome,
    summarise,
)
from sluice.drift.live.schedule import Window
from sluice.drift.windows import NO_ALARM, AlarmState, WindowRule, advance_alarm

LEFT = "no longer serves"
JOINT_OFF = "switched off: `drift.joint` of the service's file"
States = Mapping[str, DriftState]
"""The state of each kind after the window before, by kind; a kind without one is left out."""


def list_outcomes(
    judged: Mapping[Kind, DriftJudgement], joint: JointDrift | None
) -> tuple[KindReport, ...]:
    """Return what each kind showed in one window alone; its alarm is that window's."""
    found = [_describe_kind(kind, judged, joint) for kind in REPORT_KINDS]
    return tuple(replace(one, is_open=one.outcome == "alarm") for one in found)


def _describe_kind(
    kind: ReportKind, judged: Mapping[Kind, DriftJudgement], joint: JointDrift | None
) -> KindReport:
    if kind == "joint":
        if joint is None:
            return KindReport(kind, "not judged", JOINT_OFF)
        carried = tuple(one.column for one in joint.carriers[:MAX_FEATURES])
        features = carried if joint.outcome == "alarm" else ()
        return KindReport(kind, joint.outcome, joint.reason, features=features)
    one = judged[kind]
    features = tuple(column.column for column in one.alarmed)
    return KindReport(kind, one.outcome, explain_outcome(one), features=features)


def advance_kinds(
    outcomes: tuple[KindReport, ...],
    states: States,
    version: int,
    window: Window,
    config: DriftConfig,
    serves: Callable[[int], bool] = lambda _: True,
) -> tuple[KindReport, ...]:
    """Return the kinds with their alarms after a window: m of the last n windows open one.

    The windows of another version are not counted. The alarm of one that no longer serves closes,
    unless the window opens it again; one of its late windows opens none. An upstream break is about
    the inputs, whichever version serves.
    """
    rule = WindowRule(config.alarms, config.windows)
    advanced = []
    for one in outcomes:
        state = states.get(one.kind)
        is_left = state is not None and state.version != version and not serves(state.version)
        is_late = one.kind != "upstream" and not serves(version)
        before = _read_alarm(state, version, is_left)
        kind: Any = one.kind if one.kind == "upstream" else "data"
        after, _ = advance_alarm(before, kind, window.end.timestamp(), one.outcome, rule)
        after = replace(after, is_open=False, since=None) if is_late else after
        since = None if after.since is None else datetime.fromtimestamp(after.since, UTC)
        found = replace(one, is_open=after.is_open, since=since, recent=after.outcomes)
        was_open = state is not None and state.is_open
        if after.is_open != was_open:
            found = replace(found, change="opened" if after.is_open else "closed")
        if state is not None and found.change == "closed" and (is_left or is_late):
            found = replace(found, closed_by=f"v{state.version} {LEFT}")
        advanced.append(found)
    return tuple(advanced)


def _read_alarm(state: DriftState | None, version: int, is_left: bool) -> AlarmState:
    if state is None:
        return NO_ALARM
    if is_left:
        return AlarmState(last=state.end.timestamp())
    since = state.since.timestamp() if state.is_open and state.since else None
    recent = state.recent if state.version == version else ()
    return AlarmState(state.is_open, recent, state.end.timestamp(), since)


def build_states(
    report: DriftReport, before: States, address: str = "", flow_run: str = ""
) -> tuple[DriftState, ...]:
    """Return the states to record of a judged window of traffic, one a kind.

    Raises:
        ValueError: the report has no window.
    """
    if report.window is None:
        raise ValueError("a report without a window has no state")
    return tuple(
        _build_state(report, report.window, one, before.get(one.kind), (address, flow_run))
        for one in report.kinds
    )


def _build_state(
    report: DriftReport,
    window: Window,
    one: KindReport,
    before: DriftState | None,
    origin: tuple[str, str],
) -> DriftState:
    closed = window.end if one.change == "closed" else (before.since if before else None)
    return DriftState(
        report.service,
        one.kind,
        report.reference,
        report.version,
        window.start,
        window.end,
        WindowOutcome(one.outcome),
        one.is_open,
        AlarmChange(one.change),
        one.since if one.is_open else closed,
        one.recent,
        report.rows,
        list_features(report, one.kind),
        "; ".join(filter(None, (one.closed_by, one.reason)))
        or summarise(replace(report, kinds=(one,))),
        *origin,
    )


def close_stale(state: DriftState, reference: str, window: Window) -> DriftState:
    """Return the state that closes an alarm of a reference which the service no longer has."""
    return replace(
        state,
        start=window.start,
        end=window.end,
        outcome=WindowOutcome.NOT_JUDGED,
        is_open=False,
        change=AlarmChange.CLOSED,
        since=window.end,
        recent=(),
        rows=0,
        features=(),
        reason=f"the reference of the service is {reference} now",
    )


def describe_stale(state: DriftState) -> dict[str, Any]:
    """Return the payload of `drift.resolved` for an alarm that `close_stale` closed."""
    return {
        "kind": state.kind,
        "features": [],
        "names": "",
        "window_start": state.start.isoformat(),
        "window_end": state.end.isoformat(),
        "reference": state.reference,
        "rows": state.rows,
        "version": state.version,
        "reason": state.reason,
    }


def list_features(report: DriftReport, kind: str) -> tuple[DriftedFeature, ...]:
    """Return the features of a kind with their scores, findings first, at most ten."""
    if kind == "joint":
        carriers = report.joint.carriers if report.joint else ()
        return tuple(
            DriftedFeature(one.column, {"auc_loss": one.loss}) for one in carriers[:MAX_FEATURES]
        )
    columns = report.columns.get(kind, ())  # type: ignore[call-overload]
    return tuple(_describe_feature(one.found) for one in columns[:MAX_FEATURES])


def _describe_feature(found: ColumnDrift) -> DriftedFeature:
    scores = found.scores or found.null_scores
    named: dict[str, float | None] = {"drift": found.drift}
    if scores is not None:
        named |= {"psi": scores.psi, "js": scores.js, "kl": scores.kl}
    return DriftedFeature(found.column, named, found.severity, found.alarms)


def _explain_change(report: DriftReport, kind: KindReport) -> str:
    if kind.is_open:
        return describe_finding(report, kind)
    return kind.closed_by or "enough windows in a row have no finding"


def describe_change(report: DriftReport, kind: KindReport) -> dict[str, Any]:
    """Return the payload of `drift.detected` or `drift.resolved`.

    Raises:
        ValueError: the report has no window.
    """
    if report.window is None:
        raise ValueError("a report without a window is no event")
    features = [
        {
            "name": one.name,
            "severity": one.severity,
            "findings": list(one.findings),
            **one.scores,
        }
        for one in list_features(report, kind.kind)
        if kind.kind == "joint" or one.findings
    ]
    return {
        "kind": kind.kind,
        "features": features,
        "names": ", ".join(kind.features[:3]),
        "window_start": report.window.start.isoformat(),
        "window_end": report.window.end.isoformat(),
        "reference": report.reference,
        "rows": report.rows,
        "version": report.version,
        "reason": _explain_change(report, kind),
    }

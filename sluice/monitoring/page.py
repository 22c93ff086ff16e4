"""What people read of a service's alerts: rows, one page, and the payload of an event."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sluice.monitoring.alerts import AlertChange, AlertPhase, AlertState, Silence, find_silence
from sluice.monitoring.rules import ActiveRule, RuleOutcome, write_figure
from sluice.monitoring.signals import Origin
from sluice.report.markdown import Column, escape, write_fitted

NEVER = "not judged yet"
NEWEST = 20
"""Changes that the page lists."""
ALERTS = (
    *(Column("alert", 19), Column("state", 10), Column("severity", 8)),
    *(Column("found", 34), Column("since", 10)),
)
CHANGES = (Column("at", 10), Column("alert", 19), Column("change", 10), Column("found", 42))
ORDER = {AlertPhase.FIRING: 0, AlertPhase.PENDING: 1, AlertPhase.QUIET: 2}


def describe_alerts(
    rules: Mapping[str, ActiveRule],
    alerts: Sequence[AlertState],
    silences: Sequence[Silence],
    now: datetime,
) -> list[dict[str, str]]:
    """Return one row a rule: its state, what was found and since when; firing ones first."""
    known = {alert.rule: alert for alert in alerts}
    rows = []
    for name, active in rules.items():
        alert = known.get(name, AlertState("", name))
        given = [item for item in silences if item.rule == name]
        row = {
            "rule": name,
            "state": _name_state(alert),
            "severity": active.rule.severity,
            "found": alert.reason if alert.judged else _explain_unjudged(active),
            "limit": _write_limit(active),
            "since": write_time(alert.since),
            "silenced": _describe_silence(find_silence(given, now)),
            "judged": write_time(alert.judged),
        }
        rows.append((ORDER[alert.phase], row))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def write_page(
    service: str,
    rules: Mapping[str, ActiveRule],
    rows: Sequence[Mapping[str, str]],
    changes: Sequence[AlertChange],
) -> str:
    """Write a service's page: its alerts, what to do about those that fire, the last changes."""
    shown = [{**row, "alert": row["rule"]} for row in rows]
    parts = [f"# Alerts of {service}", _write_rows(ALERTS, shown)]
    silenced = [f"- {row['rule']} is silenced {row['silenced']}" for row in rows if row["silenced"]]
    parts += ["\n".join(escape(line) for line in silenced)] if silenced else []
    firing = [row["rule"] for row in rows if row["state"] == AlertPhase.FIRING.value]
    for name in firing:
        parts.append(write_runbook(name, rules[name]))
    if changes:
        lines = [
            {
                "at": write_time(item.at),
                "alert": item.rule,
                "change": item.kind.value,
                "found": f"by {item.by}: {item.reason}" if item.by else item.reason,
            }
            for item in changes[:NEWEST]
        ]
        parts += ["## Last changes", _write_rows(CHANGES, lines)]
    return "\n\n".join(parts)


def write_runbook(name: str, active: ActiveRule) -> str:
    """Write what a rule means and what a person does about it, as Markdown."""
    rule, book = active.rule, active.rule.runbook
    return (
        f"## {name}: {rule.title}\n\n{rule.definition}\n\n- **It means**: {book.means}\n"
        f"- **Look at**: {book.look}\n- **Do**: {book.do}"
    )


def describe_change(change: AlertChange, active: ActiveRule | None) -> dict[str, Any]:
    """Return the payload of a change's event; `active` is None where its rule is gone."""
    values: dict[str, Any] = {
        "rule": change.rule,
        "title": active.rule.title if active else change.rule,
        "severity": change.severity,
        "reason": change.reason,
        "at": _write_iso(change.at),
        "since": _write_iso(change.since),
        "value": change.value,
        "limit": change.limit,
        "unit": change.unit,
        "subjects": list(change.subjects),
        "n": change.n,
        "window": {"start": _write_iso(change.start), "end": _write_iso(change.at)},
        "by": change.by,
        "next": active.rule.runbook.do if active else "",
    }
    return values | ({"version": change.version} if change.version else {})


def write_time(moment: datetime | None) -> str:
    """Return a time in UTC to the minute; empty where there is none."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""


def _name_state(alert: AlertState) -> str:
    if alert.phase is AlertPhase.QUIET and alert.outcome is RuleOutcome.UNKNOWN:
        return RuleOutcome.UNKNOWN.value
    return alert.phase.value


def _explain_unjudged(active: ActiveRule) -> str:
    if active.missing or active.origin is not Origin.RECORDED:
        return active.missing or NEVER
    return f"no figure of `{active.rule.signal}` was recorded yet"


def _write_limit(active: ActiveRule) -> str:
    if active.limit is None:
        return "none"
    side = "above" if active.is_upper else "below"
    return f"{side} {write_figure(active.limit, active.unit)}"


def _describe_silence(silence: Silence | None) -> str:
    if silence is None:
        return ""
    return f"until {write_time(silence.until)} by {silence.by}: {silence.reason}"


def _write_iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _write_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, str]]) -> str:
    return write_fitted(columns, [[row[one.head] for one in columns] for row in rows])

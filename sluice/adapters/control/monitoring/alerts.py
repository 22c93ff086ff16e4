"""Alerts, silences and signals in the control store.

An alert changes only from the revision that its monitor has read, and its changes are appended in
the same transaction: two monitors at once note each change once. The logs of changes and silences
are append-only.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select

from sluice.adapters.control.causes import put_watermark, read_watermark
from sluice.adapters.control.commands import require_reason
from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.routes import read_routes
from sluice.adapters.control.schema import ALERT_CHANGES, ALERT_SILENCES, ALERTS, SIGNALS
from sluice.documents import parse_json
from sluice.errors import CommandRefused
from sluice.monitoring.alerts import (
    AHEAD,
    AlertChange,
    AlertState,
    Silence,
    find_silence,
    read_change,
    read_state,
    write_change,
    write_state,
)
from sluice.monitoring.signals import SIGNALS as KINDS
from sluice.monitoring.signals import Origin, Signal

TOLD = "alert changes told"
"""Subject of the watermark of the last change of which Prefect was told."""
SILENCE, UNSILENCE = "silence", "unsilence"


class Alerts:
    """The store's alerts; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, service: str, rule: str) -> AlertState:
        """Return an alert; one that was never judged is quiet."""
        wanted = select(ALERTS).where(_is_alert(service, rule))
        with self._database.transact("reading an alert") as connection:
            row = connection.execute(wanted).mappings().first()
        return _build_alert(row) if row else AlertState(service, rule)

    def list_alerts(self, service: str = "") -> list[AlertState]:
        """Return the alerts of a service, or of all, by service and rule."""
        wanted = select(ALERTS).order_by(ALERTS.c.service, ALERTS.c.rule)
        wanted = wanted.where(ALERTS.c.service == service) if service else wanted
        with self._database.transact("listing alerts") as connection:
            return [_build_alert(row) for row in connection.execute(wanted).mappings()]

    def advance(
        self, before: AlertState, after: AlertState, changes: Sequence[AlertChange]
    ) -> bool:
        """Write an alert and append its changes; return False if another monitor was first.

        Then nothing is written, and the caller reads the alert anew.
        """
        values = {"revision": before.revision + 1, "state": json.dumps(write_state(after))}
        key = {"service": before.service, "rule": before.rule}
        with self._database.transact("writing an alert") as connection:
            if before.revision == 0:
                written = insert_once(connection, ALERTS, {**key, **values})
            else:
                same = _is_alert(before.service, before.rule)
                same = and_(same, ALERTS.c.revision == before.revision)
                written = (
                    connection.execute(ALERTS.update().where(same).values(values)).rowcount == 1
                )
            for change in changes if written else ():
                _append_change(connection, change)
        return written

    def list_changes(self, service: str, most: int | None = None) -> list[AlertChange]:
        """Return a service's changes of alerts, newest first, `most` at most."""
        wanted = select(ALERT_CHANGES).where(ALERT_CHANGES.c.service == service)
        wanted = wanted.order_by(ALERT_CHANGES.c.sequence.desc()).limit(most)
        with self._database.transact("listing changes of alerts") as connection:
            return [_build_change(row) for row in connection.execute(wanted).mappings()]

    def list_untold(self, service: str) -> list[AlertChange]:
        """Return the changes of which Prefect was not told yet, oldest first."""
        with self._database.transact("looking for changes of alerts") as connection:
            mark = read_watermark(connection, service, TOLD).mark
            after = ALERT_CHANGES.c.sequence > int(mark or 0)
            wanted = select(ALERT_CHANGES).where(and_(ALERT_CHANGES.c.service == service, after))
            rows = connection.execute(wanted.order_by(ALERT_CHANGES.c.sequence)).mappings()
            return [_build_change(row) for row in rows]

    def mark_told(self, change: AlertChange) -> None:
        """Record that Prefect was told of a change, and of those before it."""
        with self._database.transact("noting what was told") as connection:
            seen = read_watermark(connection, change.service, TOLD)
            if int(seen.mark or 0) < change.sequence:
                put_watermark(connection, seen.settle(str(change.sequence)))

    def silence(self, silence: Silence) -> Silence:
        """Record a silence and return it with its number; it replaces one that is in force.

        Raises:
            CommandRefused: there is no name or no reason, or it ends before it starts.
        """
        require_reason("silence", silence.by, silence.reason)
        if silence.until <= silence.start:
            raise CommandRefused(
                f"silence: until: found {silence.until:%Y-%m-%d %H:%M} UTC; allowed: a time after "
                f"{silence.start:%Y-%m-%d %H:%M} UTC"
            )
        with self._database.transact("silencing an alert") as connection:
            number = _append_silence(connection, silence, SILENCE, silence.start)
        return replace(silence, number=number)

    def unsilence(self, service: str, rule: str, by: str, reason: str, now: datetime) -> Silence:
        """End the silence that is in force, and return it as it ended.

        Raises:
            CommandRefused: there is no name or no reason, or no silence is in force.
        """
        require_reason("unsilence", by, reason)
        with self._database.transact("ending a silence") as connection:
            silences = _read_silences(connection, _is_silence(service, rule))
            active = find_silence(silences, now)
            if active is None:
                raise CommandRefused(
                    f"unsilence: {rule} of {service} is not silenced; next: "
                    f"`sluice monitoring status {service}` shows what is"
                )
            ended = replace(active, until=now, ended_by=by.strip(), ended_reason=reason.strip())
            _append_silence(connection, replace(active, by=by, reason=reason), UNSILENCE, now)
        return ended

    def list_silences(self, service: str) -> list[Silence]:
        """Return all silences of a service, oldest first, each with the end that it really had."""
        with self._database.transact("listing silences") as connection:
            return _read_silences(connection, ALERT_SILENCES.c.service == service)


class SignalLog:
    """The store's signals: the figures that other parts hand to the rules.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, signals: Iterable[Signal]) -> int:
        """Record signals, each once: one of the same window again is left out; return how many.

        Of a signal that exists only for a moment the newest is kept.

        Raises:
            DataInvalid: a signal is not complete, or a figure is not finite.
        """
        given = [signal.check() for signal in signals]
        with self._database.transact("recording signals") as connection:
            for signal in given:
                if KINDS[signal.name].origin is Origin.NOW:
                    connection.execute(SIGNALS.delete().where(_is_older(signal)))
            return sum(insert_once(connection, SIGNALS, _write_signal(item)) for item in given)

    def list_since(self, service: str, name: str, cursor: int) -> list[tuple[int, Signal]]:
        """Return a service's signals of a name that were recorded after a number, with theirs."""
        wanted = and_(
            SIGNALS.c.service == service, SIGNALS.c.name == name, SIGNALS.c.sequence > cursor
        )
        rows = select(SIGNALS).where(wanted).order_by(SIGNALS.c.sequence)
        with self._database.transact("reading signals") as connection:
            found = connection.execute(rows).mappings().all()
        return [(row["sequence"], _build_signal(row)) for row in found]

    def list_newest(self, service: str = "") -> list[Signal]:
        """Return the newest signal of each name and subject, of one service or of all.

        One about a version that no longer serves is left out.
        """
        keys = (SIGNALS.c.service, SIGNALS.c.name, SIGNALS.c.subject)
        newest = select(*keys, func.max(SIGNALS.c.ended).label("ended")).group_by(*keys).subquery()
        same = and_(*(SIGNALS.c[key] == newest.c[key] for key in ("service", "name", "subject")))
        rows = select(SIGNALS).join(newest, and_(same, SIGNALS.c.ended == newest.c.ended))
        rows = rows.where(SIGNALS.c.service == service) if service else rows
        rows = rows.order_by(SIGNALS.c.service, SIGNALS.c.name, SIGNALS.c.subject)
        with self._database.transact("reading the newest signals") as connection:
            found = [_build_signal(row) for row in connection.execute(rows).mappings()]
            routes = {route.service: route for route in read_routes(connection)}
        return [
            item
            for item in found
            if not item.version
            or item.service not in routes
            or routes[item.service].serves(item.version)
        ]

    def prune(self, before: datetime) -> int:
        """Delete the signals whose window ended before a time; return how many."""
        old = SIGNALS.delete().where(SIGNALS.c.ended < write_time(before))
        with self._database.transact("deleting old signals") as connection:
            return connection.execute(old).rowcount


def _is_alert(service: str, rule: str) -> ColumnElement[bool]:
    return and_(ALERTS.c.service == service, ALERTS.c.rule == rule)


def _is_silence(service: str, rule: str) -> ColumnElement[bool]:
    return and_(ALERT_SILENCES.c.service == service, ALERT_SILENCES.c.rule == rule)


def _build_alert(row: RowMapping) -> AlertState:
    return read_state(row["service"], row["rule"], parse_json(row["state"]), row["revision"])


def _append_change(connection: Connection, change: AlertChange) -> None:
    values = {
        "service": change.service,
        "rule": change.rule,
        "kind": change.kind.value,
        "at": write_time(change.at),
        "change": json.dumps(write_change(change), allow_nan=False),
    }
    connection.execute(ALERT_CHANGES.insert().values(values))


def _build_change(row: RowMapping) -> AlertChange:
    return read_change(parse_json(row["change"]), row["sequence"])


def _append_silence(connection: Connection, silence: Silence, action: str, at: datetime) -> int:
    values = {
        "service": silence.service,
        "rule": silence.rule,
        "action": action,
        "given_by": silence.by.strip(),
        "reason": silence.reason.strip(),
        "at": write_time(at),
        "until": write_time(silence.until),
    }
    statement = ALERT_SILENCES.insert().values(values).returning(ALERT_SILENCES.c.sequence)
    return int(connection.execute(statement).scalar_one())


def _read_silences(connection: Connection, wanted: ColumnElement[bool]) -> list[Silence]:
    rows = select(ALERT_SILENCES).where(wanted).order_by(ALERT_SILENCES.c.sequence)
    found: list[Silence] = []
    for row in connection.execute(rows).mappings():
        at = datetime.fromisoformat(row["at"])
        found = [_end_silence(item, row, at) for item in found]
        if row["action"] == SILENCE:
            until = datetime.fromisoformat(row["until"])
            found.append(
                Silence(
                    row["service"],
                    row["rule"],
                    row["given_by"],
                    row["reason"],
                    at,
                    until,
                    row["sequence"],
                )
            )
    return found


def _end_silence(silence: Silence, row: RowMapping, at: datetime) -> Silence:
    """Return a silence after a later action on its rule: another silence, or its end."""
    if silence.rule != row["rule"] or not silence.is_active(at):
        return silence
    return replace(silence, until=at, ended_by=row["given_by"], ended_reason=row["reason"])


def _is_older(signal: Signal) -> ColumnElement[bool]:
    """Return the condition that a row is an earlier figure of the signal, or of a clock ahead."""
    ended = SIGNALS.c.ended
    return and_(
        SIGNALS.c.service == signal.service,
        SIGNALS.c.name == signal.name,
        SIGNALS.c.subject == signal.subject,
        or_(ended < write_time(signal.end), ended > write_time(signal.end + AHEAD)),
    )


def _write_signal(signal: Signal) -> dict[str, Any]:
    content = asdict(signal)
    for key in ("service", "name", "subject"):
        content.pop(key)
    times = {"start": write_time(signal.start), "end": write_time(signal.end)}
    return {
        "service": signal.service,
        "name": signal.name,
        "subject": signal.subject,
        "ended": times["end"],
        "content": json.dumps({**content, **times}, allow_nan=False),
    }


def _build_signal(row: RowMapping) -> Signal:
    content = parse_json(row["content"])
    for key in ("start", "end"):
        content[key] = datetime.fromisoformat(content[key])
    return Signal(row["service"], row["name"], subject=row["subject"], **content)

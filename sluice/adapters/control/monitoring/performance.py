"""Judged windows of live performance in the control store: each is judged by one monitor."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, RowMapping, and_, or_, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.schema import PERFORMANCE_WINDOWS as WINDOWS
from sluice.documents import parse_json

GRACE = timedelta(minutes=30)
"""Time after which another monitor emits an event whose monitor did not report back."""
NEVER = ""
WindowKind = Literal["measured", "estimated"]


@dataclass(frozen=True)
class JudgedWindow:
    """A window of answers of a version, by its number from 1 among those of its kind.

    `measured`: labelled answers; `last_at` and `last_request` are the place of the last one in the
    order of labels. `estimated`: answers with or without labels, all of them before `last_at`.
    `dropped` and `clean` are the state after it, `event` the change that it made, empty where it
    made none, and `payload` the event's. `verdict` is what it showed, as JSON-ready values.
    """

    service: str
    version: int
    number: int
    last_at: datetime
    last_request: str
    dropped: bool
    clean: int
    event: str
    payload: Any
    verdict: Any
    judged: datetime
    kind: WindowKind = "measured"


class PerformanceWindows:
    """The store's judged windows; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_last(
        self, service: str, version: int, kind: WindowKind = "measured"
    ) -> JudgedWindow | None:
        """Return the last judged window of a version; None where there is none yet."""
        found = self.list_last(service, version, 1, kind)
        return found[0] if found else None

    def list_last(
        self, service: str, version: int, most: int, kind: WindowKind = "measured"
    ) -> list[JudgedWindow]:
        """Return the last judged windows of a version, newest first."""
        mine = and_(WINDOWS.c.service == service, WINDOWS.c.version == version)
        wanted = (
            select(WINDOWS)
            .where(mine, WINDOWS.c.kind == kind)
            .order_by(WINDOWS.c.number.desc())
            .limit(most)
        )
        with self._database.transact("reading windows of performance") as connection:
            return [_build(row) for row in connection.execute(wanted).mappings()]

    def add(self, window: JudgedWindow) -> bool:
        """Add a judged window; return False where another monitor has judged it."""
        with self._database.transact("adding a window of performance") as connection:
            return insert_once(connection, WINDOWS, _write(window))

    def claim_events(self, service: str, now: datetime) -> list[JudgedWindow]:
        """Claim the windows of a service whose event is not emitted; one monitor gets each.

        A claim that was not settled within half an hour goes to the next monitor.
        """
        stale = write_time(now - GRACE)
        is_open = and_(
            WINDOWS.c.service == service,
            WINDOWS.c.event != "",
            WINDOWS.c.emitted == NEVER,
            or_(WINDOWS.c.claimed == NEVER, WINDOWS.c.claimed < stale),
        )
        with self._database.transact("claiming events of performance") as connection:
            wanted = select(WINDOWS).where(is_open).order_by(WINDOWS.c.judged, WINDOWS.c.number)
            found = [_build(row) for row in connection.execute(wanted).mappings()]
            mine = []
            for window in found:
                change = WINDOWS.update().where(and_(_is(window), is_open))
                if connection.execute(change.values(claimed=write_time(now))).rowcount == 1:
                    mine.append(window)
            return mine

    def settle_event(self, window: JudgedWindow, now: datetime) -> None:
        """Record that a window's event was emitted."""
        with self._database.transact("settling an event of performance") as connection:
            change = WINDOWS.update().where(_is(window)).values(emitted=write_time(now))
            connection.execute(change)


def _is(window: JudgedWindow) -> ColumnElement[bool]:
    return and_(
        WINDOWS.c.service == window.service,
        WINDOWS.c.version == window.version,
        WINDOWS.c.kind == window.kind,
        WINDOWS.c.number == window.number,
    )


def _write(window: JudgedWindow) -> dict[str, Any]:
    return {
        "service": window.service,
        "version": window.version,
        "kind": window.kind,
        "number": window.number,
        "last_at": write_time(window.last_at),
        "last_request": window.last_request,
        "dropped": int(window.dropped),
        "clean": window.clean,
        "event": window.event,
        "payload": json.dumps(window.payload, allow_nan=False),
        "verdict": json.dumps(window.verdict, allow_nan=False),
        "judged": write_time(window.judged),
        "claimed": NEVER,
        "emitted": NEVER,
    }


def _build(row: RowMapping) -> JudgedWindow:
    return JudgedWindow(
        service=row["service"],
        version=row["version"],
        number=row["number"],
        last_at=datetime.fromisoformat(row["last_at"]),
        last_request=row["last_request"],
        dropped=bool(row["dropped"]),
        clean=row["clean"],
        event=row["event"],
        payload=parse_json(row["payload"]),
        verdict=parse_json(row["verdict"]),
        judged=datetime.fromisoformat(row["judged"]),
        kind=row["kind"],
    )

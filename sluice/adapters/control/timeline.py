"""The audit timeline in the control store: an append-only table, read with what others record.

Commands, decisions on approvals and rollouts have tables of their own. What none of them holds is
appended here: ends of releases, promotions, conflicts, and each change of the version that serves.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, write_time
from sluice.adapters.control.schema import COMMANDS, DECISIONS, ROLLOUTS, TIMELINE
from sluice.control.command import BY_HAND
from sluice.control.route import Route
from sluice.control.timeline import (
    ENDED,
    OPENED,
    REPRODUCE,
    ROUTE,
    TimelineEntry,
    sort_entries,
)
from sluice.documents import parse_json


class Timeline:
    """The store's timeline; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entry: TimelineEntry, once: bool = False) -> TimelineEntry:
        """Append an entry and return it with its number.

        `once`: the origin is one run, which may repeat the call after a lost reply; the entry of
        the first call stays.
        """
        with self._database.transact("writing the timeline") as connection:
            found = _find_same(connection, entry) if once else None
            return found or append_entry(connection, entry)

    def list_entries(self, service: str, most: int | None = None) -> list[TimelineEntry]:
        """Return a service's entries, newest first, `most` at most."""
        with self._database.transact("reading the timeline") as connection:
            own = _read(connection, service)
            told = {(item.action, item.at) for item in own}
            others = [
                *_read_commands(connection, service),
                *_read_decisions(connection, service),
                *_read_rollouts(connection, service),
            ]
        # A rollback or a restore is also a command, written at the same time.
        found = [*own, *(item for item in others if (item.action, item.at) not in told)]
        return sort_entries(found)[:most]

    def find_change(self, service: str) -> TimelineEntry | None:
        """Return the last change of the version that serves; None if none was recorded."""
        with self._database.transact("reading the timeline") as connection:
            return read_change(connection, service)

    def list_served(self, service: str) -> list[TimelineEntry]:
        """Return, oldest first, the entries by which another version came to serve.

        The last one is of the version that serves, unless the store is older than its timeline.
        """
        changed = and_(TIMELINE.c.service == service, TIMELINE.c.previous.is_not(None))
        wanted = select(TIMELINE).where(changed).order_by(TIMELINE.c.sequence)
        with self._database.transact("reading the timeline") as connection:
            changes = [build_entry(row) for row in connection.execute(wanted).mappings()]
        before = [None, *(item.version for item in changes)]
        return [item for item, last in zip(changes, before, strict=False) if item.version != last]

    def find_since(self, route: Route) -> datetime | None:
        """Return since when a route's champion serves; None where that is not on record."""
        served = self.list_served(route.service)
        return served[-1].at if served and served[-1].version == route.champion else None

    def has_served(self, service: str, version: int) -> bool:
        """Whether the store has a record that a version came to serve, and so was admitted."""
        changed = and_(TIMELINE.c.service == service, TIMELINE.c.previous.is_not(None))
        wanted = select(TIMELINE.c.sequence).where(changed, TIMELINE.c.version == version)
        with self._database.transact("reading the timeline") as connection:
            return connection.execute(wanted.limit(1)).first() is not None

    def find_reproduced(self, service: str, version: int) -> TimelineEntry | None:
        """Return the entry of a version's last reproduction; None if there was none."""
        same = and_(TIMELINE.c.service == service, TIMELINE.c.version == version)
        wanted = select(TIMELINE).where(same, TIMELINE.c.action == REPRODUCE)
        with self._database.transact("reading the timeline") as connection:
            newest = wanted.order_by(TIMELINE.c.sequence.desc()).limit(1)
            row = connection.execute(newest).mappings().first()
            return build_entry(row) if row else None

    def list_changes(self) -> dict[str, TimelineEntry]:
        """Return the last change of the version that serves, by service."""
        wanted = select(TIMELINE).where(TIMELINE.c.previous.is_not(None))
        with self._database.transact("reading the timeline") as connection:
            rows = connection.execute(wanted.order_by(TIMELINE.c.sequence)).mappings()
            return {row["service"]: build_entry(row) for row in rows}


def append_entry(connection: Connection, entry: TimelineEntry) -> TimelineEntry:
    """Append an entry inside a transaction; return it with its number."""
    values = {
        "service": entry.service,
        "at": write_time(entry.at),
        "action": entry.action,
        "version": entry.version,
        "previous": entry.previous,
        "given_by": entry.by,
        "reason": entry.reason,
        "origin": entry.origin,
        "message": entry.message,
    }
    statement = TIMELINE.insert().values(**values).returning(TIMELINE)
    return build_entry(connection.execute(statement).mappings().one())


def _find_same(connection: Connection, entry: TimelineEntry) -> TimelineEntry | None:
    """Return the entry of the same action, version and origin, if there is one."""
    names = ("service", "action", "version", "origin")
    same = and_(*(TIMELINE.c[name] == getattr(entry, name) for name in names))
    row = connection.execute(select(TIMELINE).where(same)).mappings().first()
    return build_entry(row) if row else None


def append_change(
    connection: Connection, before: Route | None, after: Route, entry: TimelineEntry | None = None
) -> TimelineEntry | None:
    """Append, inside a transaction, that another version serves; None if it is the same.

    Without an entry that explains the change, the previous version is the one that served before.
    """
    served = before.champion if before else 0
    if served == after.champion:
        return None
    if entry is None:
        replaced = f" instead of v{served}" if served else ""
        entry = TimelineEntry(
            after.service,
            datetime.now(UTC),
            ROUTE,
            after.champion,
            message=f"v{after.champion} serves{replaced}",
            previous=served,
        )
    return append_entry(connection, entry)


def read_change(connection: Connection, service: str) -> TimelineEntry | None:
    """Return, inside a transaction, the last change of the version that serves."""
    changed = and_(TIMELINE.c.service == service, TIMELINE.c.previous.is_not(None))
    wanted = select(TIMELINE).where(changed).order_by(TIMELINE.c.sequence.desc()).limit(1)
    row = connection.execute(wanted).mappings().first()
    return build_entry(row) if row else None


def _read(connection: Connection, service: str) -> list[TimelineEntry]:
    rows = select(TIMELINE).where(TIMELINE.c.service == service)
    return [build_entry(row) for row in connection.execute(rows).mappings()]


def _read_commands(connection: Connection, service: str) -> list[TimelineEntry]:
    rows = select(COMMANDS).where(COMMANDS.c.service == service)
    return [
        TimelineEntry(
            service=service,
            at=datetime.fromisoformat(row["at"]),
            action=row["action"],
            by=row["given_by"],
            reason=row["reason"],
            origin=row["origin"],
            message=_describe_answer(row),
        )
        for row in connection.execute(rows).mappings()
    ]


def _describe_answer(row: RowMapping) -> str:
    if row["number"] == BY_HAND:
        return str(row["message"])
    answer = {"obey": "obeyed", "refuse": f"refused: {row['message']}"}.get(row["answer"], "open")
    return f"rollout {row['number']}: {answer}"


def _read_decisions(connection: Connection, service: str) -> list[TimelineEntry]:
    rows = select(DECISIONS).where(DECISIONS.c.service == service)
    return [
        TimelineEntry(
            service=service,
            at=datetime.fromisoformat(row["at"]),
            action=row["answer"],
            version=row["version"],
            by=row["decided_by"],
            reason=row["reason"],
            origin=row["origin"],
            message=f"the approval of v{row['version']} is {row['answer']}",
        )
        for row in connection.execute(rows).mappings()
    ]


def _read_rollouts(connection: Connection, service: str) -> list[TimelineEntry]:
    names = ("number", "champion", "candidate", "phase", "state", "opened", "ended")
    rows = select(*(ROLLOUTS.c[name] for name in names)).where(ROLLOUTS.c.service == service)
    found = []
    for row in connection.execute(rows).mappings():
        name = f"rollout {row['number']} of v{row['candidate']} beside v{row['champion']}"
        opened = datetime.fromisoformat(row["opened"])
        found.append(
            TimelineEntry(service, opened, OPENED, row["candidate"], message=f"{name} is open")
        )
        if row["ended"]:
            reason = str(parse_json(row["state"]).get("reason", ""))
            ended = datetime.fromisoformat(row["ended"])
            found.append(
                TimelineEntry(
                    service,
                    ended,
                    ENDED,
                    row["candidate"],
                    reason=reason,
                    message=f"{name} is {row['phase']}",
                )
            )
    return found


def build_entry(row: RowMapping) -> TimelineEntry:
    """Build an entry of a row of the table."""
    return TimelineEntry(
        service=row["service"],
        at=datetime.fromisoformat(row["at"]),
        action=row["action"],
        version=row["version"],
        by=row["given_by"],
        reason=row["reason"],
        origin=row["origin"],
        message=row["message"],
        previous=row["previous"],
        sequence=row["sequence"],
    )

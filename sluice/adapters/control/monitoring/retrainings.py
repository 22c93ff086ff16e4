"""Causes of retraining in the control store, and the releases that were started for them."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.leases import require_lease
from sluice.adapters.control.schema import RETRAINING_CAUSES, RETRAININGS
from sluice.control.lease import Lease
from sluice.control.retraining import (
    AHEAD,
    Retraining,
    RetrainingCause,
    WaitingFor,
    bound_time,
    follow_cause,
)

NEVER = ""


class Retrainings:
    """The store's causes of retraining; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, cause: RetrainingCause, now: datetime | None = None) -> bool:
        """Store an event's cause; return False where the store knows it, or a newer one.

        With `now` a time far ahead, of this event or of the one before, counts as now.
        """
        cause = bound_time(cause, now) if now else cause
        with self._database.transact("recording a cause of retraining") as connection:
            if insert_once(connection, RETRAINING_CAUSES, _write_cause(cause)):
                return True
            seen = _read_cause(connection, cause)
            seen = bound_time(seen, now) if seen and now else seen
            followed = follow_cause(seen, cause)
            if followed is None:
                return False
            _update_cause(connection, followed)
            return True

    def bound_times(self, service: str, now: datetime) -> None:
        """Give causes whose time is far ahead the time now: a clock was wrong."""
        table = RETRAINING_CAUSES
        ahead = and_(table.c.service == service, table.c.at > write_time(now + AHEAD))
        with self._database.transact("correcting times of causes") as connection:
            connection.execute(table.update().where(ahead).values(at=write_time(now)))

    def list_open(self, service: str) -> list[RetrainingCause]:
        """Return the causes that are not closed, oldest first."""
        return self._list(service, RETRAINING_CAUSES.c.is_closed == 0)

    def list_causes(self, service: str) -> list[RetrainingCause]:
        """Return the newest cause of each subject, oldest first."""
        return self._list(service)

    def note_decision(self, causes: Sequence[RetrainingCause]) -> None:
        """Store what was decided on causes; one that a newer event replaced stays as it is."""
        with self._database.transact("noting a decision on retraining") as connection:
            _note(connection, causes)

    def start(
        self, lease: Lease, retraining: Retraining, causes: Sequence[RetrainingCause]
    ) -> Retraining:
        """Record that a release is started for causes, under the lease; return it with its number.

        Raises:
            LeaseLost: the lease is no longer the caller's; nothing was changed.
        """
        values = asdict(retraining)
        del values["number"]
        values |= {"at": write_time(retraining.at), "since": _write_time(retraining.since)}
        with self._database.transact("starting a retraining") as connection:
            require_lease(connection, lease)
            statement = RETRAININGS.insert().values(**values).returning(RETRAININGS.c.number)
            number = int(connection.execute(statement).scalar_one())
            _note(connection, causes)
        return replace(retraining, number=number)

    def note_run(self, retraining: Retraining, run: str) -> None:
        """Record the flow run of a retraining."""
        with self._database.transact("recording a retraining's run") as connection:
            mine = RETRAININGS.c.number == retraining.number
            connection.execute(RETRAININGS.update().where(mine).values(run=run))

    def find_newest(self, service: str) -> Retraining | None:
        """Return the retraining that was started last; None where there was none."""
        wanted = select(RETRAININGS).where(RETRAININGS.c.service == service)
        newest = wanted.order_by(RETRAININGS.c.number.desc()).limit(1)
        with self._database.transact("reading a retraining") as connection:
            row = connection.execute(newest).mappings().first()
        return _build_retraining(row) if row else None

    def find_run(self, service: str, run: str) -> Retraining | None:
        """Return the retraining of a flow run; None where the run is of another cause."""
        wanted = and_(RETRAININGS.c.service == service, RETRAININGS.c.run == run)
        with self._database.transact("reading a retraining") as connection:
            row = connection.execute(select(RETRAININGS).where(wanted)).mappings().first()
        return _build_retraining(row) if row else None

    def _list(self, service: str, *conditions: ColumnElement[bool]) -> list[RetrainingCause]:
        table = RETRAINING_CAUSES
        wanted = select(table).where(table.c.service == service, *conditions)
        with self._database.transact("listing causes of retraining") as connection:
            rows = connection.execute(wanted.order_by(table.c.at, table.c.subject)).mappings()
            return [_build_cause(row) for row in rows]


def _note(connection: Connection, causes: Sequence[RetrainingCause]) -> None:
    for cause in causes:
        seen = _read_cause(connection, cause)
        if seen is not None and seen.at == cause.at:
            _update_cause(connection, cause)


def _read_cause(connection: Connection, cause: RetrainingCause) -> RetrainingCause | None:
    row = connection.execute(select(RETRAINING_CAUSES).where(_is(cause))).mappings().first()
    return _build_cause(row) if row else None


def _update_cause(connection: Connection, cause: RetrainingCause) -> None:
    connection.execute(RETRAINING_CAUSES.update().where(_is(cause)).values(**_write_cause(cause)))


def _is(cause: RetrainingCause) -> ColumnElement[bool]:
    table = RETRAINING_CAUSES
    return and_(table.c.service == cause.service, table.c.subject == cause.subject)


def _write_cause(cause: RetrainingCause) -> dict[str, Any]:
    return {
        **asdict(cause),
        "at": write_time(cause.at),
        "since": _write_time(cause.since),
        "is_over": int(cause.is_over),
        "is_closed": int(cause.is_closed),
        "waits": cause.waits.value,
    }


def _build_cause(row: RowMapping) -> RetrainingCause:
    values = dict(row)
    return RetrainingCause(
        **{
            **values,
            "at": datetime.fromisoformat(values["at"]),
            "since": _read_time(values["since"]),
            "is_over": bool(values["is_over"]),
            "is_closed": bool(values["is_closed"]),
            "waits": WaitingFor(values["waits"]),
        }
    )


def _build_retraining(row: RowMapping) -> Retraining:
    values = dict(row)
    return Retraining(
        **{
            **values,
            "at": datetime.fromisoformat(values["at"]),
            "since": _read_time(values["since"]),
        }
    )


def _write_time(moment: datetime | None) -> str:
    return write_time(moment) if moment else NEVER


def _read_time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text != NEVER else None

"""States of drift in the control store: each change of an alarm, and the newest judged window."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.schema import DRIFT_STATES as STATES
from sluice.control.drift import AlarmChange, DriftedFeature, DriftState, WindowOutcome
from sluice.documents import parse_json

KEY = ("service", "kind", "reference")
TIMES = ("start", "end", "since")


class DriftStates:
    """The store's states of drift; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, state: DriftState) -> bool:
        """Record a judged window; return False where it, or a newer one, is recorded already.

        Rows of changes stay. Of the other windows only the newest of its kind and reference does.

        Raises:
            DataInvalid: the state is not complete, or a score is not finite.
        """
        values = _columns(state.check())
        with self._database.transact("recording a state of drift") as connection:
            newest = select(func.max(STATES.c.window_end)).where(_is_same(state))
            found = connection.execute(newest).scalar_one_or_none()
            if found is not None and found >= values["window_end"]:
                return False
            if not insert_once(connection, STATES, values):
                return False
            older = and_(
                _is_same(state),
                STATES.c.change == AlarmChange.NONE.value,
                STATES.c.window_end < values["window_end"],
            )
            connection.execute(STATES.delete().where(older))
            return True

    def find_newest(self, service: str, kind: str, reference: str) -> DriftState | None:
        """Return the newest judged window of one kind and reference; None where there is none."""
        wanted = select(STATES).where(
            STATES.c.service == service, STATES.c.kind == kind, STATES.c.reference == reference
        )
        with self._database.transact("reading a state of drift") as connection:
            row = connection.execute(wanted.order_by(STATES.c.window_end.desc())).mappings().first()
        return _build(row) if row else None

    def list_newest(self, service: str = "") -> list[DriftState]:
        """Return the newest judged window of each kind and reference, of one service or of all."""
        with self._database.transact("reading states of drift") as connection:
            return read_newest(connection, service)

    def list_changes(self, service: str, most: int) -> list[DriftState]:
        """Return the windows that opened or closed an alarm, newest first, `most` at most."""
        wanted = select(STATES).where(STATES.c.service == service, STATES.c.change != "")
        wanted = wanted.order_by(STATES.c.window_end.desc(), STATES.c.sequence.desc()).limit(most)
        with self._database.transact("reading changes of drift") as connection:
            return [_build(row) for row in connection.execute(wanted).mappings()]


def read_newest(connection: Connection, service: str = "") -> list[DriftState]:
    """Return, inside a transaction, the newest judged window of each kind and reference."""
    keys = [STATES.c[name] for name in KEY]
    newest = select(*keys, func.max(STATES.c.window_end).label("newest")).group_by(*keys).subquery()
    same = and_(
        *(STATES.c[name] == newest.c[name] for name in KEY), STATES.c.window_end == newest.c.newest
    )
    rows = select(STATES).join(newest, same)
    rows = rows.where(STATES.c.service == service) if service else rows
    ordered = rows.order_by(*keys)
    return [_build(row) for row in connection.execute(ordered).mappings()]


def _is_same(state: DriftState) -> ColumnElement[bool]:
    return and_(*(STATES.c[name] == getattr(state, name) for name in KEY))


def _columns(state: DriftState) -> dict[str, Any]:
    content = asdict(state)
    for name in TIMES:
        moment = getattr(state, name)
        content[name] = write_time(moment) if moment else None
    return {
        **{name: content.pop(name) for name in KEY},
        "window_end": write_time(state.end),
        "change": state.change.value,
        "state": json.dumps(content, allow_nan=False),
    }


def _build(row: RowMapping) -> DriftState:
    content = parse_json(row["state"])
    known = {
        name: item for name, item in content.items() if name in DriftState.__dataclass_fields__
    }
    for name in TIMES:
        known[name] = datetime.fromisoformat(known[name]) if known[name] else None
    features = [
        DriftedFeature(**{**item, "findings": tuple(item["findings"])})
        for item in known["features"]
    ]
    return DriftState(
        **{name: row[name] for name in KEY},
        **{
            **known,
            "outcome": WindowOutcome(known["outcome"]),
            "change": AlarmChange(known["change"]),
            "recent": tuple(known["recent"]),
            "features": tuple(features),
        },
    )

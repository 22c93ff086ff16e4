"""Releases in the control store: opened, judged gate by gate, and ended once."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from sluice.adapters.control.database import Database, insert_once, write_time
from sluice.adapters.control.schema import RELEASES
from sluice.control.release import INTERRUPTED, RUNNING, GateResult, ReleaseRecord
from sluice.documents import parse_json

KILLED = "its process ended before the release did"
NEVER = ""


class Releases:
    """The store's releases; each call is one transaction, and the same call again changes nothing.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, release: ReleaseRecord) -> None:
        """Add a release that starts; the caller holds the service's lease.

        So an earlier one of the service that has not ended was killed, and ends as interrupted.
        """
        values = {**_columns(release), "ended": NEVER}
        lost = and_(
            RELEASES.c.service == release.service,
            RELEASES.c.registry_run != release.registry_run,
            RELEASES.c.outcome == RUNNING,
        )
        end = {"ended": write_time(release.started), "outcome": INTERRUPTED, "message": KILLED}
        with self._database.transact("recording a release") as connection:
            connection.execute(RELEASES.update().where(lost).values(end))
            insert_once(connection, RELEASES, values)

    def add_gate(self, service: str, registry_run: str, result: GateResult) -> None:
        """Add what a gate concluded; a second result of the same gate replaces the first.

        A release that the store does not know is left out: it started before its table existed.
        """
        with self._database.transact("recording a gate") as connection:
            gates = _read_gates(connection, service, registry_run)
            if gates is None:
                return
            kept = [item for item in gates if item.gate != result.gate]
            text = _write_gates((*kept, result))
            change = RELEASES.update().where(_is(service, registry_run)).values(gates=text)
            connection.execute(change)

    def close(
        self,
        service: str,
        registry_run: str,
        outcome: str,
        at: datetime,
        version: int | None = None,
        message: str = "",
    ) -> None:
        """Record how a release ended; the first end that is recorded stays."""
        values = {
            "ended": write_time(at),
            "outcome": outcome,
            "version": version,
            "message": message,
        }
        is_open = and_(_is(service, registry_run), RELEASES.c.outcome == RUNNING)
        with self._database.transact("recording the end of a release") as connection:
            connection.execute(RELEASES.update().where(is_open).values(values))

    def list_last(self, service: str, most: int) -> list[ReleaseRecord]:
        """Return a service's releases, newest first, `most` at most."""
        wanted = select(RELEASES).where(RELEASES.c.service == service)
        wanted = wanted.order_by(RELEASES.c.sequence.desc()).limit(most)
        with self._database.transact("reading releases") as connection:
            return [_build(row) for row in connection.execute(wanted).mappings()]

    def list_newest(self) -> dict[str, ReleaseRecord]:
        """Return the newest release of each service."""
        newest = select(func.max(RELEASES.c.sequence)).group_by(RELEASES.c.service)
        wanted = select(RELEASES).where(RELEASES.c.sequence.in_(newest))
        with self._database.transact("reading the newest releases") as connection:
            rows = connection.execute(wanted).mappings()
            return {row["service"]: _build(row) for row in rows}


def _is(service: str, registry_run: str) -> ColumnElement[bool]:
    return and_(RELEASES.c.service == service, RELEASES.c.registry_run == registry_run)


def _read_gates(
    connection: Connection, service: str, registry_run: str
) -> tuple[GateResult, ...] | None:
    wanted = select(RELEASES.c.gates).where(_is(service, registry_run)).with_for_update()
    text = connection.execute(wanted).scalar_one_or_none()
    return None if text is None else _parse_gates(text)


def _write_gates(gates: tuple[GateResult, ...]) -> str:
    return json.dumps([asdict(item) for item in gates])


def _parse_gates(text: str) -> tuple[GateResult, ...]:
    return tuple(GateResult(**item) for item in parse_json(text))


def _columns(release: ReleaseRecord) -> dict[str, Any]:
    values = asdict(release)
    times = {"started": write_time(release.started)}
    return {**values, **times, "gates": _write_gates(release.gates)}


def _build(row: RowMapping) -> ReleaseRecord:
    values = {name: row[name] for name in ReleaseRecord.__dataclass_fields__}
    ended = datetime.fromisoformat(row["ended"]) if row["ended"] else None
    times = {"started": datetime.fromisoformat(row["started"]), "ended": ended}
    return ReleaseRecord(**{**values, **times, "gates": _parse_gates(row["gates"])})

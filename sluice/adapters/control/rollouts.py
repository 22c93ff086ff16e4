"""Rollouts in the control store: one tick is one transaction, fenced by its controller's lease."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from sluice.adapters.control.commands import answer_command, refuse_waiting
from sluice.adapters.control.database import Database
from sluice.adapters.control.leases import renew_lease, require_lease
from sluice.adapters.control.routes import read_route, renew_route, require_route, swap_route
from sluice.adapters.control.schema import ROLLOUT_LOG, ROLLOUTS
from sluice.config.policy import Policy, hash_policy, read_policy, write_policy
from sluice.config.rollout import RouteConfig
from sluice.control.command import RecordedCommand
from sluice.control.lease import Lease
from sluice.errors import LeaseLost, RolloutRefused
from sluice.rollout.facts import Arm
from sluice.rollout.log import Record, write_opening
from sluice.rollout.record import RolloutRecord, RolloutSummary, read_readings, write_readings
from sluice.rollout.state import Decision, Phase, Verb, read_state, start, write_state

CONTROLLER = "rollout"
"""The purpose of the lease that a rollout's controller holds."""


@dataclass(frozen=True)
class Opening:
    """What a rollout begins with; `before` is the champion's traffic, an arm a block."""

    service: str
    champion: int
    candidate: int
    policy: Policy
    terms: RouteConfig
    salt: str
    before: tuple[Arm, ...] = ()


@dataclass(frozen=True)
class Tick:
    """One step as it is written: what became of the rollout, its record, the answered command."""

    course: RolloutRecord
    record: Record
    decision: Decision
    command: RecordedCommand | None = None


class Rollouts:
    """The store's rollouts; each call is one transaction.

    Every method raises `ControlUnavailable` where the database is locked or does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, lease: Lease, opening: Opening, now: datetime) -> RolloutRecord:
        """Open a rollout under its controller's lease, and write its log's first record.

        Raises:
            LeaseLost: another holds the lease, or it was freed.
            RolloutRefused: one is open, or the route names other versions.
        """
        with self._database.transact("opening a rollout") as connection:
            require_lease(connection, lease)
            epoch = _require_room(connection, opening)
            of_service = ROLLOUTS.c.service == opening.service
            last = connection.execute(select(func.max(ROLLOUTS.c.number)).where(of_service))
            course = RolloutRecord(
                service=opening.service,
                number=(last.scalar() or 0) + 1,
                champion=opening.champion,
                candidate=opening.candidate,
                policy=opening.policy,
                terms=opening.terms,
                salt=opening.salt,
                state=start(opening.policy, list(opening.before), epoch),
            )
            whole = {**_name(course), **_write(course), "opened": _time(now), "ended": ""}
            connection.execute(ROLLOUTS.insert().values(whole))
            first = write_opening(opening.policy, list(opening.before), epoch)
            _append(connection, course, first, now)
            return course

    def write(self, lease: Lease, seen: RolloutRecord, tick: Tick, now: datetime) -> RolloutRecord:
        """Write a tick: state, record, answered command and route together, or nothing of it.

        The route is swapped where the state's epoch moved, else renewed while the state says so.

        Raises:
            LeaseLost: another holds the lease, or wrote this tick.
            RouteMoved: the route is at another epoch than the rollout.
            CommandRefused: the command was answered already.
        """
        after = replace(tick.course, tick=seen.tick + 1)
        with self._database.transact("writing a tick") as connection:
            require_lease(connection, lease)
            same = and_(_is(seen), ROLLOUTS.c.tick == seen.tick, ROLLOUTS.c.ended == "")
            over = after.state.phase.is_final
            values = {**_write(after), "ended": _time(now) if over else ""}
            if connection.execute(ROLLOUTS.update().where(same).values(values)).rowcount != 1:
                raise LeaseLost(f"{_words(seen)}: tick {seen.tick} was written by another")
            _append(connection, seen, tick.record, now)
            if tick.command:
                obeyed = tick.decision.verb is not Verb.REFUSE
                answer_command(connection, tick.command, obeyed, tick.decision.reason)
            if over:
                words = f"the rollout is over: {after.state.phase}"
                refuse_waiting(connection, seen.service, seen.number, words)
            _move_route(connection, seen, after)
        return after

    def renew(self, lease: Lease, course: RolloutRecord, routed: bool) -> Lease:
        """Renew the controller's lease, and with it (`routed`) the route at the rollout's epoch.

        Raises:
            LeaseLost: another holds the lease, or it was freed.
        """
        with self._database.transact("renewing a rollout") as connection:
            renewed = renew_lease(connection, lease)
            route = read_route(connection, course.service) if routed else None
            if route and route.epoch == course.state.epoch:  # else a tick is just moving it
                renew_route(connection, course.service, route.epoch)
            return renewed

    def settle(self, course: RolloutRecord) -> None:
        """Remember that the registry's aliases follow a rollout's end."""
        with self._database.transact("settling a rollout") as connection:
            connection.execute(ROLLOUTS.update().where(_is(course)).values(settled=1))

    def find_open(self, service: str) -> RolloutRecord | None:
        """Give the service's rollout that is under way; None where there is none."""
        wanted = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
        return next(iter(self._list(wanted)), None)

    def find(self, service: str, number: int) -> RolloutRecord | None:
        """Give a rollout as it stands."""
        same = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.number == number)
        return next(iter(self._list(same)), None)

    def list_open(self) -> list[RolloutRecord]:
        """Give every service's rollout that is under way."""
        return self._list(ROLLOUTS.c.ended == "")

    def list_unsettled(self) -> list[RolloutRecord]:
        """Give the rollouts that ended, and whose aliases may not follow yet."""
        return self._list(and_(ROLLOUTS.c.ended != "", ROLLOUTS.c.settled == 0))

    def list_rollouts(self, service: str) -> list[RolloutRecord]:
        """Give all rollouts of a service, oldest first."""
        return self._list(ROLLOUTS.c.service == service)

    def list_outlines(self) -> list[RolloutSummary]:
        """Give every service's rollouts by number, without what their tests know."""
        last = and_(_matches_log(), ROLLOUT_LOG.c.tick == ROLLOUTS.c.tick - 1)
        names = ("service", "number", "champion", "candidate", "phase", "tick", "opened", "ended")
        columns = [ROLLOUTS.c[name] for name in names]
        rows = select(*columns, ROLLOUT_LOG.c.at).join(ROLLOUT_LOG, last)
        rows = rows.order_by(ROLLOUTS.c.service, ROLLOUTS.c.number)
        with self._database.transact("listing rollouts") as connection:
            return [_outline(row) for row in connection.execute(rows).mappings()]

    def read_log(
        self, service: str, number: int, since: int = 0, most: int | None = None
    ) -> list[tuple[datetime, Record]]:
        """Give a rollout's decision log: the time and the record of each tick.

        From tick `since` on, `most` records where it is given.
        """
        wanted = and_(ROLLOUT_LOG.c.service == service, ROLLOUT_LOG.c.number == number)
        wanted = and_(wanted, ROLLOUT_LOG.c.tick >= since)
        rows = select(ROLLOUT_LOG).where(wanted).order_by(ROLLOUT_LOG.c.tick).limit(most)
        with self._database.transact("reading a decision log") as connection:
            found = connection.execute(rows).mappings().all()
        return [(datetime.fromisoformat(row["at"]), json.loads(row["record"])) for row in found]

    def _list(self, wanted: ColumnElement[bool]) -> list[RolloutRecord]:
        rows = select(ROLLOUTS).where(wanted).order_by(ROLLOUTS.c.service, ROLLOUTS.c.number)
        with self._database.transact("reading rollouts") as connection:
            return [_build(row) for row in connection.execute(rows).mappings()]


def _require_room(connection: Connection, opening: Opening) -> int:
    """Give the route's epoch, where the route is free for this rollout.

    Raises:
        RolloutRefused: one is open, or the route names other versions.
    """
    route, service = read_route(connection, opening.service), opening.service
    open_one = and_(ROLLOUTS.c.service == service, ROLLOUTS.c.ended == "")
    other = connection.execute(select(ROLLOUTS.c.candidate).where(open_one)).scalar()
    if other is not None:
        raise RolloutRefused(f"{service}: a rollout of v{other} is under way; one at a time")
    if route is None:
        raise RolloutRefused(f"{service} has no route: no champion was ever released")
    if (route.champion, route.candidate) != (opening.champion, None):
        found = f"v{route.champion}{f' and v{route.candidate}' if route.candidate else ''}"
        raise RolloutRefused(
            f"{service}: the route names {found}, not v{opening.champion} alone; "
            "next: wait until the keeper adopted what was moved by hand"
        )
    return route.epoch


def _move_route(connection: Connection, seen: RolloutRecord, after: RolloutRecord) -> None:
    service, epoch = seen.service, seen.state.epoch
    if after.state.epoch != epoch:
        route = require_route(connection, service, epoch)
        swap_route(connection, route, after.direct(route))
    elif after.state.renews:
        renew_route(connection, service, epoch)


def _append(connection: Connection, course: RolloutRecord, record: Record, now: datetime) -> None:
    text = json.dumps(record, allow_nan=False)
    line = {**_name(course), "tick": record["tick"], "at": _time(now), "record": text}
    connection.execute(ROLLOUT_LOG.insert().values(line))


def _name(course: RolloutRecord) -> dict[str, Any]:
    return {"service": course.service, "number": course.number}


def _write(course: RolloutRecord) -> Mapping[str, Any]:
    return {
        "champion": course.champion,
        "candidate": course.candidate,
        "policy": write_policy(course.policy),
        "policy_hash": hash_policy(course.policy),
        "terms": course.terms.model_dump_json(),
        "salt": course.salt,
        "phase": course.state.phase.value,
        "state": json.dumps(write_state(course.state), allow_nan=False),
        "readings": json.dumps(write_readings(course.readings), allow_nan=False),
        "tick": course.tick,
        "settled": int(course.settled),
    }


def _build(row: RowMapping) -> RolloutRecord:
    policy = read_policy(row["policy"])
    return RolloutRecord(
        service=row["service"],
        number=row["number"],
        champion=row["champion"],
        candidate=row["candidate"],
        policy=policy,
        terms=RouteConfig.model_validate_json(row["terms"]),
        salt=row["salt"],
        state=read_state(json.loads(row["state"]), policy),
        tick=row["tick"],
        readings=read_readings(json.loads(row["readings"])),
        settled=bool(row["settled"]),
    )


def _outline(row: RowMapping) -> RolloutSummary:
    return RolloutSummary(
        service=row["service"],
        number=row["number"],
        champion=row["champion"],
        candidate=row["candidate"],
        phase=Phase(row["phase"]),
        tick=row["tick"],
        opened=datetime.fromisoformat(row["opened"]),
        ended=datetime.fromisoformat(row["ended"]) if row["ended"] else None,
        written=datetime.fromisoformat(row["at"]),
    )


def _matches_log() -> ColumnElement[bool]:
    same = ROLLOUT_LOG.c.service == ROLLOUTS.c.service
    return and_(same, ROLLOUT_LOG.c.number == ROLLOUTS.c.number)


def _is(course: RolloutRecord) -> ColumnElement[bool]:
    return and_(ROLLOUTS.c.service == course.service, ROLLOUTS.c.number == course.number)


def _time(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="microseconds")


def _words(course: RolloutRecord) -> str:
    return f"rollout {course.number} of {course.service}"
